// Command gen writes what Grafana, Loki's ruler and Prometheus load for
// logscope: dashboards, and alert and recording rules. It is a module of its
// own, so that Grafana's SDK stands in no other go.mod.
//
//	go run -C conf/grafana/gen . ../..        writes below conf/
//
// "make gen" does that; TestGenerated fails where the committed files differ.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIR, where DIR is logscope's conf")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "gen: %v\n", err)
		os.Exit(1)
	}
}

// write writes all generated files below dir.
func write(dir string) error {
	all, err := files()
	if err != nil {
		return err
	}
	for name, data := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
