// Sets the theme before the page is drawn. Without a choice the system decides.
"use strict";
(() => {
  const key = "logscope-theme";
  const order = ["system", "light", "dark"];
  let theme = "system";
  try {
    theme = localStorage.getItem(key) || theme;
  } catch { /* storage is off: the choice lasts as long as the page */ }
  if (!order.includes(theme)) theme = "system";

  const apply = () => {
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    const name = document.getElementById("theme-name");
    if (name) name.textContent = theme;
    document.dispatchEvent(new Event("theme"));
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try {
        localStorage.setItem(key, theme);
      } catch { /* as above */ }
      apply();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  });
})();
