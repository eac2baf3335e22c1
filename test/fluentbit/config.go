package fluentbit

import (
	"fmt"
	"strings"
)

// Config is a configuration of Fluent Bit: files tailed, sent to outputs.
type Config struct {
	// StorageDir keeps chunks in files; empty: in memory only.
	StorageDir string
	// Service are more lines of the section [SERVICE], "key value".
	Service []string
	Tails   []Tail
	// Outputs are sections of logscope: "key value" each.
	Outputs [][]string
}

// Tail is one file that is followed, each line a record.
type Tail struct {
	Tag, Path string
	// Add is a key and a value that every record gets, "key value"; empty: none.
	Add string
	// DB remembers how far the file was read, between runs and reloads; empty: nothing does.
	DB string
	// Regex finds the groups log and time in a line, and Strptime is the time's format.
	Regex, Strptime string
}

// Text returns the main configuration file.
func (c *Config) Text() string {
	var b strings.Builder
	section := func(name string, lines ...string) {
		fmt.Fprintf(&b, "[%s]\n", name)
		for _, line := range lines {
			if line != "" {
				fmt.Fprintf(&b, "    %s\n", line)
			}
		}
		b.WriteByte('\n')
	}
	storage := ""
	service := []string{"flush 1", "log_level info", "parsers_file parsers.conf", "coro_stack_size 196608"}
	if c.StorageDir != "" {
		service = append(service, "storage.path "+c.StorageDir, "storage.backlog.mem_limit 50M")
		storage = "storage.type filesystem"
	}
	section("SERVICE", append(service, c.Service...)...)
	for _, t := range c.Tails {
		db := ""
		if t.DB != "" {
			db = "db " + t.DB
		}
		section("INPUT", "name tail", "tag "+t.Tag, "path "+t.Path, "parser "+t.Tag, "read_from_head on",
			"refresh_interval 1", "buffer_max_size 1M", db, storage)
		if t.Add != "" {
			section("FILTER", "name modify", "match "+t.Tag, "add "+t.Add)
		}
	}
	for _, lines := range c.Outputs {
		section("OUTPUT", append([]string{"name logscope", "match *"}, lines...)...)
	}
	return b.String()
}

// Parsers returns the parsers file of the Tails.
func (c *Config) Parsers() string {
	var b strings.Builder
	for _, t := range c.Tails {
		fmt.Fprintf(&b, "[PARSER]\n    name %s\n    format regex\n    regex %s\n    time_key time\n    time_format %s\n\n", t.Tag, t.Regex, t.Strptime)
	}
	return b.String()
}
