package conf

import (
	"fmt"
	"strings"
)

// The samples must start as they are, and show every option with its default.

const sampleClassicHead = `# Fluent Bit with logscope, classic format. Made from the option table by "make gen".
# Start with: fluent-bit -e /path/to/out_logscope.so -c fluent-bit.conf

[SERVICE]
    flush                     1
    grace                     5
    log_level                 info
    # Go code needs more stack than Fluent Bit's coroutines have before 5.1.
    coro_stack_size           196608
    # The durable queue: chunks stay on disk until Loki has them.
    storage.path              /var/lib/fluent-bit/storage
    storage.sync              normal
    storage.keep.rejected     on
    storage.rejected.path     rejected

[INPUT]
    name                      tail
    tag                       host.*
    path                      /var/log/*.log
    db                        /var/lib/fluent-bit/tail.db
    storage.type              filesystem

[OUTPUT]
    name                      logscope
    match                     *
    # One worker keeps a slow Loki from holding up Fluent Bit's inputs. With it, restart rather than
    # hot reload: Fluent Bit 5.1.1 crashes when it reloads Go outputs that have workers.
    workers                   1
    # Retry until Loki has the records: the default gives up after one retry.
    retry_limit               no_limits
`

const sampleYAMLHead = `# Fluent Bit with logscope, YAML format. Made from the option table by "make gen".
# Start with: fluent-bit -e /path/to/out_logscope.so -c fluent-bit.yaml

service:
  flush: 1
  grace: 5
  log_level: info
  # Go code needs more stack than Fluent Bit's coroutines have before 5.1.
  coro_stack_size: 196608
  # The durable queue: chunks stay on disk until Loki has them.
  storage.path: /var/lib/fluent-bit/storage
  storage.sync: normal
  storage.keep.rejected: on
  storage.rejected.path: rejected

pipeline:
  inputs:
    - name: tail
      tag: host.*
      path: /var/log/*.log
      db: /var/lib/fluent-bit/tail.db
      storage.type: filesystem

  outputs:
    - name: logscope
      match: '*'
      # One worker keeps a slow Loki from holding up Fluent Bit's inputs. With it, restart rather than
    # hot reload: Fluent Bit 5.1.1 crashes when it reloads Go outputs that have workers.
      workers: 1
      # Retry until Loki has the records: the default gives up after one retry.
      retry_limit: no_limits
`

// AppendSampleClassic appends a sample configuration in Fluent Bit's classic format.
func AppendSampleClassic(dst []byte) []byte {
	dst = append(dst, sampleClassicHead...)
	for _, group := range groups(Rows(Plugin)) {
		dst = fmt.Appendf(dst, "\n    # %s\n", group[0].Group)
		for _, row := range group {
			if row.Sample != "" {
				dst = fmt.Appendf(dst, "    %-25s %s\n", row.Name, row.Sample)
				continue
			}
			dst = append(dst, strings.TrimRight(fmt.Sprintf("    # %-23s %s", row.Name, row.Default), " ")...)
			dst = append(dst, '\n')
		}
	}
	return dst
}

// AppendSampleYAML appends a sample configuration in Fluent Bit's YAML format.
func AppendSampleYAML(dst []byte) []byte {
	dst = append(dst, sampleYAMLHead...)
	for _, group := range groups(Rows(Plugin)) {
		dst = fmt.Appendf(dst, "\n      # %s\n", group[0].Group)
		for _, row := range group {
			dst = appendYAML(dst, "      ", &row)
		}
	}
	return dst
}

// AppendSampleFile appends a sample config_file, with help for each option.
func AppendSampleFile(dst []byte) []byte {
	dst = append(dst, `# Options of logscope for "config_file". Made from the option table by "make gen".
# Unknown options are errors. Lists may be written as YAML lists, labels and headers as mappings.
`...)
	for _, group := range groups(Rows(Plugin)) {
		dst = fmt.Appendf(dst, "\n# ---- %s\n", group[0].Group)
		for _, row := range group {
			if row.Name == optionConfigFile {
				continue
			}
			dst = append(dst, '\n')
			dst = appendWrapped(dst, strings.ReplaceAll(plain(row.Help), "\n", " "), "# ", 100)
			dst = appendYAML(dst, "", &row)
		}
	}
	return dst
}

// appendYAML appends a row's sample value, or its default, commented out.
func appendYAML(dst []byte, indent string, row *Row) []byte {
	if row.Sample != "" {
		return fmt.Appendf(dst, "%s%s: %s\n", indent, row.Name, yamlText(row.Sample))
	}
	text := fmt.Sprintf("%s# %s: %s", indent, row.Name, yamlText(row.Default))
	return append(append(dst, strings.TrimRight(text, " ")...), '\n')
}

// yamlText quotes what YAML would not take as the text it is.
func yamlText(text string) string {
	if strings.ContainsAny(text, ",:#{}[]&*!|>'\"%@`") && !strings.Contains(text, "://") {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return text
}
