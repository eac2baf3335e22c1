package detect

import "bytes"

// hints are strings that attacks are made of and other requests seldom hold:
// general knowledge, as weak evidence beside what a site teaches. Each group is
// one kind of attack. They are matched in folded text, so digits are 0.
var hints = [...][]string{
	{"../", `..\`, "..;/", "\x01"},
	{"<script", "<img", "<svg", "<iframe", "<body", "<object", "<embed", "<!", "<?", "</", "<%"},
	{"javascript:", "vbscript:", "onerror", "onload", "onmouseover", "onfocus", "alert(", "prompt(", "confirm(", "document.", "expression(", "eval("},
	{"union ", "union/", "select ", "select(", "' or", "' and", " or 0", " and 0", "0=0", "waitfor ", "sleep(", "benchmark(", "information_schema", "/*", "';", "--", "xp_cmdshell", "order by", "insert into", "drop table", "sysdate("},
	{"/etc/", "/proc/", "passwd", "win.ini", "boot.ini", "web-inf", "cmd.exe", "/bin/", ".htaccess", ".htpasswd", ".git/", ".svn/", "/.env", "id_rsa", "wp-config"},
	{"${", "{{", "$(", "`", "||", "&&", "; ", "|ping", "|id", "|cat", "() {"},
	{"http://", "https://", "ftp://", "php://", "file://", "expect://", "data:"},
	{"system(", "exec(", "passthru(", "phpinfo", "base00_", "md0(", "chr(", "char(", "concat(", "print(", "response.write"},
}

// hintsOf returns which groups are in the text, a bit each.
func hintsOf(text []byte) (found uint) {
	for i, group := range hints {
		for _, word := range group {
			if bytes.Contains(text, []byte(word)) {
				found |= 1 << i
				break
			}
		}
	}
	return found
}
