package view

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestShop shows the recorded shop and writes the screenshots of docs/live-view.md.
func TestShop(t *testing.T) {
	b := open(t)
	s := newShop(t)
	s.replay(t)
	b.size(1280, 900, true)
	b.goTo(s.server.URL)
	b.waitFor(`document.querySelectorAll("#list > li").length > 10`)
	b.run(chromedp.Click(chromedp.CSS(`#list > li:nth-child(2) .open`)))
	b.screenshot("dark")
	b.size(1280, 900, false)
	b.screenshot("light")
	b.size(390, 844, true)
	b.screenshot("phone")
	b.noFaults(s.server.URL)
}
