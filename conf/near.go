package conf

import (
	"fmt"
	"slices"
	"strings"
)

// fold removes what spellings of one name differ in.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
}

// spellings lists how an option's name can reach us: as it stands
// (auto_kubernetes_labels), joined (AutoKubernetesLabels, which hosts lower),
// in kebab case, and with acronyms taken apart: Fluent Bit's YAML reader turns
// tenantID into tenant_i_d.
func spellings(name string) []string {
	parts := strings.Split(name, "_")
	apart := slices.Clone(parts)
	for i, part := range apart {
		if i > 0 && slices.Contains([]string{"id", "url", "ca"}, part) {
			apart[i] = strings.Join(strings.Split(part, ""), "_")
		}
	}
	all := []string{name, strings.Join(parts, ""), strings.Join(parts, "-"), strings.Join(apart, "_")}
	slices.Sort(all[1:])
	all = slices.Compact(all)
	if len(all) > 1 {
		all = append(all[:1], slices.DeleteFunc(all[1:], func(s string) bool { return s == name })...)
	}
	return all
}

// alien is a name that is none of ours but is written for one.
type alien struct {
	name string
	// use is the option to write instead; empty: there is none, and why says why none is needed.
	use, why string
}

// aliens are names from Fluent Bit's loki and http outputs, from grafana-loki,
// from Promtail and Alloy, and those that people guess.
func aliens() []alien {
	return append(unneeded(), []alien{
		{name: "uri", use: "url"},
		{name: "endpoint", use: "url"},
		{name: "address", use: "url"},
		{name: "loki_url", use: "url"},
		{name: "http_url", use: "url"},
		{name: "tenant", use: "tenant_id"},
		{name: "org_id", use: "tenant_id"},
		{name: "tenant_key", use: "tenant_id_key"},
		{name: "label", use: "labels"},
		{name: "external_labels", use: "labels"},
		{name: "label_map", use: "label_map_path"},
		{name: "label_map_file", use: "label_map_path"},
		{name: "kubernetes_labels", use: "auto_kubernetes_labels"},
		{name: "metadata", use: "structured_metadata"},
		{name: "metadata_keys", use: "structured_metadata"},
		{name: "structured_metadata_keys", use: "structured_metadata"},
		{name: "removed_keys", use: "remove_keys"},
		{name: "exclude_keys", use: "remove_keys"},
		{name: "format", use: "line_format"},
		{name: "headers", use: "header"},
		{name: "http_header", use: "header"},
		{name: "user", use: "http_user"},
		{name: "username", use: "http_user"},
		{name: "basic_auth_user", use: "http_user"},
		{name: "password", use: "http_passwd"},
		{name: "passwd", use: "http_passwd"},
		{name: "http_password", use: "http_passwd"},
		{name: "token", use: "bearer_token"},
		{name: "http_token", use: "bearer_token"},
		{name: "token_file", use: "bearer_token_file"},
		{name: "ca", use: "ca_file"},
		{name: "ca_cert", use: "ca_file"},
		{name: "tls_ca_file", use: "ca_file"},
		{name: "cert", use: "cert_file"},
		{name: "crt_file", use: "cert_file"},
		{name: "client_cert", use: "cert_file"},
		{name: "private_key", use: "key_file"},
		{name: "client_key", use: "key_file"},
		{name: "insecure", use: "insecure_skip_verify"},
		{name: "skip_verify", use: "insecure_skip_verify"},
		{name: "tls_skip_verify", use: "insecure_skip_verify"},
		{name: "proxy", use: "proxy_url"},
		{name: "http_proxy", use: "proxy_url"},
		{name: "batch_bytes", use: "batch_size"},
		{name: "batch_size_bytes", use: "batch_size"},
		{name: "backoff", use: "min_backoff"},
		{name: "retries", use: "max_retries"},
		{name: "max_streams", use: "max_models"},
		{name: "sensitivity", use: "threshold"},
		{name: "anomaly_threshold", use: "threshold"},
		{name: "score_threshold", use: "threshold"},
		{name: "log_key", use: "message_key"},
		{name: "message_keys", use: "message_key"},
		{name: "stream_key", use: "model_key"},
		{name: "time_format", use: "time_layout"},
		{name: "masks", use: "mask_file"},
		{name: "masking", use: "mask_file"},
		{name: "masks_file", use: "mask_file"},
		{name: "drain3", use: "drain3_ini"},
		{name: "drain3_config", use: "drain3_ini"},
		{name: "drain3_file", use: "drain3_ini"},
		{name: "max_clusters", use: "max_templates"},
		{name: "state", use: "state_file"},
		{name: "state_path", use: "state_file"},
		{name: "state_dir", use: "state_file"},
		{name: "config", use: "config_file"},
	}...)
}

// unneeded are options of the peers for which there is no counterpart, as none is needed.
func unneeded() []alien {
	const queue = "Fluent Bit's filesystem storage (storage.type filesystem) is the queue"
	return []alien{
		{name: "batch_wait", why: "a chunk is sent when Fluent Bit flushes it; [SERVICE] flush sets how often"},
		{name: "loglevel", why: "Fluent Bit's log_level is used"},
		{name: "buffer", why: queue},
		{name: "buffer_type", why: queue},
		{name: "dque_dir", why: queue},
		{name: "dque_segment_size", why: queue},
		{name: "dque_sync", why: queue},
		{name: "dque_name", why: queue},
		{name: "buffer_size", why: "answers of Loki are read up to a fixed size"},
		{name: "compress", why: "pushes are always compressed with snappy"},
		{name: "tenant_id_key_error_handling", why: "each tenant's entries are retried on their own"},
	}
}

// foreign looks for names that are nearly ours. A misspelt option would
// otherwise go unseen, since a host can be asked only for names we know.
func (l *loader) foreign() {
	for _, name := range aliens() {
		text, _ := l.find(name.name)
		switch {
		case text == "":
		case name.use == "":
			l.s.Warnings = append(l.s.Warnings, fmt.Sprintf("option %s has no effect here: %s", name.name, name.why))
		case l.has(name.use):
			l.unknown(name.name, name.use)
		}
	}
	known := make(map[string]bool)
	for _, row := range l.s.rows {
		for _, spelling := range spellings(row.Name) {
			known[spelling] = true
		}
	}
	for _, name := range aliens() {
		for _, spelling := range spellings(name.name) {
			known[spelling] = true
		}
	}
	for _, row := range l.s.rows {
		l.slips(row.Name, row.Name, known)
		l.slips(fold(row.Name), row.Name, known)
	}
}

// slips asks for name with one letter missing or two exchanged, the slips of
// the hand that can be listed; one letter too many cannot.
func (l *loader) slips(name, option string, known map[string]bool) {
	if len(name) < 5 {
		return // ur, scor: too short to tell a slip from another word
	}
	for i := range len(name) {
		tries := []string{name[:i] + name[i+1:]}
		if i+1 < len(name) {
			tries = append(tries, name[:i]+name[i+1:i+2]+name[i:i+1]+name[i+2:])
		}
		for _, try := range tries {
			if known[try] {
				continue
			}
			known[try] = true
			if text, ok := l.lookup(try); ok && strings.TrimSpace(text) != "" {
				l.unknown(try, option)
			}
		}
	}
}

func (l *loader) unknown(name, use string) {
	l.errs = append(l.errs, fmt.Errorf("unknown option %s: write %s", name, use))
}

func (l *loader) has(option string) bool {
	return slices.ContainsFunc(l.s.rows, func(row Row) bool { return row.Name == option })
}

// Nearest returns the option that name was probably meant to be, and, where no
// option is needed, why; both are empty if there is no guess.
func Nearest(name string, rows []Row) (use, why string) {
	folded := fold(name)
	for _, alien := range aliens() {
		if fold(alien.name) == folded {
			return alien.use, alien.why
		}
	}
	if strings.HasPrefix(folded, "tls") || folded == "host" || folded == "port" {
		return optionURL, ""
	}
	best := 1 + len(folded)/5
	for _, row := range rows {
		if d := distance(folded, fold(row.Name)); d <= best {
			best, use = d-1, row.Name
		}
	}
	return use, ""
}

// distance is the Levenshtein distance of two short names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
