package conf

import (
	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Groups of the reference page, in its order.
const (
	groupDelivery = "Delivery"
	groupAuth     = "Authentication and TLS"
	groupLabels   = "Labels"
	groupLine     = "Line"
	groupScoring  = "Scoring"
	groupLimits   = "Limits"
	groupState    = "State and configuration"
	groupMetrics  = "Metrics and health"
	groupView     = "Live view"
	groupOutput   = "Output of scan"
	groupServe    = "Listening (serve and pipe)"
)

// Rows returns the options of the scopes, in the order of the reference page.
func Rows(scopes Scope) []Row {
	var rows []Row
	for _, group := range [][]Row{
		deliveryRows(), authRows(), labelRows(), lineRows(), scoringRows(), limitRows(), stateRows(), metricsRows(), viewRows(), serveRows(), outputRows(),
	} {
		for _, row := range group {
			if row.Scopes&scopes != 0 {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

func labelRows() []Row {
	const g = groupLabels
	return []Row{
		{Name: "labels", Kind: Labels, Default: "job=fluent-bit", Sample: "job=fluent-bit", Scopes: Plugin, Group: g,
			Help: "Labels of every stream: `name=value`, `name=$key` or a bare `$key['sub']`, which is named after its keys (`key_sub`), separated by commas; or a LogQL selector `{job=\"fluent-bit\"}`. Values with a comma are quoted. Keys used here are removed from the line.",
			set:  func(s *Settings, v Value) { s.labels = v.Sources }},
		{Name: "labels", Kind: Labels, Default: "job=logscope", Scopes: Serve, Group: g,
			Help: "Labels of NDJSON (`POST /ingest`, `listen_tcp`, `listen_unix`), written as in the plugin. Pushes and OTLP logs bring labels of their own, which pass unchanged; so for the other options here and under Line.",
			set:  func(s *Settings, v Value) { s.labels = v.Sources }},
		{Name: "label_keys", Kind: KeyList, Scopes: Plugin | Serve, Group: g,
			Help: "Keys of the record to use as labels, removed from the line.",
			set:  func(s *Settings, v Value) { s.labelKeys = v.Paths }},
		{Name: "label_map_path", Kind: Text, Scopes: Plugin | Serve, Group: g,
			Help: "JSON file that follows the record's structure and names a label at each leaf: `{\"kubernetes\": {\"namespace_name\": \"namespace\"}}`.",
			set:  func(s *Settings, v Value) { s.labelMapPath = v.Text }},
		{Name: "auto_kubernetes_labels", Kind: Bool, Default: "off", Scopes: Plugin | Serve, Group: g,
			Help: "Adds every label of the record's `kubernetes.labels`. Convenient, and many streams: prefer `labels`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Shape.AutoKubernetesLabels = v.Bool }},
		{Name: "structured_metadata", Kind: Labels, Scopes: Plugin | Serve, Group: g,
			Help: "Structured metadata of every entry, written as `labels` are. For what differs from line to line: trace ids, users, pods.",
			set:  func(s *Settings, v Value) { s.metadata = v.Sources }},
		{Name: "structured_metadata_map_keys", Kind: KeyList, Scopes: Plugin | Serve, Group: g,
			Help: "Maps of the record whose pairs all become structured metadata.",
			set:  func(s *Settings, v Value) { s.Pipeline.Shape.MetadataMaps = v.Paths }},
	}
}

func lineRows() []Row {
	const g = groupLine
	return []Row{
		{Name: "line_format", Kind: Choice, Default: "json", Choices: []string{"json", "key_value"}, Scopes: Plugin | Serve, Group: g,
			Help: "How a record becomes a line: as a JSON object, or as `key=value` pairs.",
			set:  func(s *Settings, v Value) { s.Pipeline.Shape.LineFormat = pipeline.LineFormat(v.Int) }},
		{Name: "drop_single_key", Kind: Choice, Default: "raw", Choices: []string{"off", "on", "raw"}, Scopes: Plugin | Serve, Group: g,
			Help: "What becomes of a record with one key left: `off` keeps `{\"log\":\"text\"}`, `on` sends its value as JSON, `raw` sends the text itself.",
			set:  func(s *Settings, v Value) { s.Pipeline.Shape.DropSingleKey = pipeline.DropSingleKey(v.Int) }},
		{Name: "remove_keys", Kind: KeyList, Scopes: Plugin | Serve, Group: g,
			Help: "Keys to leave out of the line.",
			set:  func(s *Settings, v Value) { s.removeKeys = v.Paths }},
	}
}

func scoringRows() []Row {
	const g = groupScoring
	return []Row{
		{Name: "score", Kind: Bool, Default: "on", Scopes: Plugin | Serve, Group: g,
			Help: "Scores the records. `off` makes the plugin a plain shipper.",
			set:  func(s *Settings, v Value) { s.Pipeline.Score = v.Bool }},
		{Name: "threshold", Kind: Fraction, Default: thresholdDefault(), Min: "0", Max: "1", Sample: thresholdDefault(), Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Score from which a record is an anomaly. Higher means fewer and rarer ones.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.Threshold = v.Float }},
		{Name: "alert_budget", Kind: Int, Default: "0", Min: "0", Max: "10000", Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Anomalies that a model may raise in an hour of its records, findings without a line included; the highest are kept. 0: any number.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.AlertBudget = int(v.Int) }},
		{Name: "annotate", Kind: Choice, Default: "labels", Choices: []string{"labels", "line", "off"}, Sample: "labels", Scopes: Plugin | Serve, Group: g,
			Help: "Where an anomaly's verdict is written: `labels` (labels `anomaly`, `reason`, `score_bucket`, and structured metadata), `line` (fields in the line, for a Loki without structured metadata), `off`.",
			set:  func(s *Settings, v Value) { s.Pipeline.Annotate = pipeline.Annotate(v.Int) }},
		{Name: "forward", Kind: Choice, Default: "all", Choices: []string{"all", "anomalies", "sampled"}, Sample: "all", Scopes: Plugin | Serve, Group: g,
			Help: "Which records are sent: `all`, only `anomalies`, or anomalies and one of every `sample_every` normal records of a template (`sampled`).",
			set:  func(s *Settings, v Value) { s.Pipeline.Forward = pipeline.Forward(v.Int) }},
		{Name: "sample_every", Kind: Int, Default: "100", Min: "1", Max: "1000000", Scopes: Plugin | Serve, Group: g,
			Help: "With `forward sampled`: of how many normal records of a template one is sent.",
			set:  func(s *Settings, v Value) { s.Pipeline.SampleEvery = int(v.Int) }},
		{Name: "model_key", Kind: Key, Scopes: Plugin, Group: g,
			Help: "Key whose value names the model of a record: records of one source share a model. Default: Kubernetes namespace and container, else Fluent Bit's tag.",
			set: func(s *Settings, v Value) {
				s.Pipeline.ModelKey = onlyPath(v.Paths)
			}},
		{Name: "model_key", Kind: Text, Scopes: Serve, Group: g,
			Help: "Label whose value names the model of a stream: streams of one source share a model. Default: Kubernetes namespace and container, else the service as Loki finds it (`service_name`, `app`, ...), else `job` with the file, else all labels.",
			set: func(s *Settings, v Value) {
				s.Pipeline.ModelKey = pipeline.Path{v.Text}
			}},
		{Name: "model_key", Kind: Key, Scopes: Pipe, Group: g,
			Help: "Key whose value names the model of a record: records of one source share a model. Default: Kubernetes namespace and container, else one model for all.",
			set: func(s *Settings, v Value) {
				s.Pipeline.ModelKey = onlyPath(v.Paths)
			}},
		{Name: "message_key", Kind: KeyList, Default: "log, message, msg, MESSAGE", Scopes: Plugin, Group: g,
			Help: "Keys that may hold the message to score, tried in this order. A record with none of them is scored as the line it becomes.",
			set:  func(s *Settings, v Value) { s.Pipeline.MessageKeys = v.Paths }},
		{Name: "line_format", Kind: Choice, Default: "auto", Choices: []string{"auto", "raw"}, Scopes: Scan, Group: g,
			Help: "`auto` looks for a header (time, host, level) before the message, `raw` takes the whole line as the message.",
			set:  func(s *Settings, v Value) { s.Scan.Raw = v.Int == 1 }},
		{Name: "time_layout", Kind: Layout, Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Time in the header of a line, as a Go layout: `2006-01-02 15:04:05.000`, `02/Jan/2006:15:04:05 -0700`. Default: recognise the usual ones.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.TimeLayout = v.Text }},
		{Name: optionMaskFile, Kind: Text, Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "File of masks of your own, a YAML or JSON list with `regex_pattern` and `mask_with` each, as Drain3 has them: what a pattern matches in a message is a value, named `mask_with` in explanations. They go before logscope's own masks, the first one first.",
			set:  func(*Settings, Value) {}},
		{Name: optionDrain3, Kind: Text, Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "An existing `drain3.ini`, taken as it is: `masking` (after those of `mask_file`), `extra_delimiters`, and `max_clusters` as `max_templates`. Settings that have no meaning here (`sim_th`, `depth`) are told in the log.",
			set:  func(*Settings, Value) {}},
		{Name: "warmup", Kind: Int, Default: warmupDefault(), Min: "0", Max: "1000000000", Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Records that a new model sees before it raises anomalies.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.Warmup = int(v.Int) }},
		{Name: "without", Kind: Choice, Default: engine.NoDetector.String(), Choices: detectorNames(), Scopes: Scan, Group: g,
			Help: "For evaluation only: a detector to leave out, to see what it contributes. `make eval-ablation` makes a table of all.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.Without = engine.Detector(v.Int) }},
	}
}

// detectorNames are those of the engine's detectors, in the order of their numbers.
func detectorNames() (names []string) {
	for _, d := range engine.Detectors() {
		names = append(names, d.String())
	}
	return names
}

// onlyPath returns the path of a Key, nil where none is given.
func onlyPath(paths []pipeline.Path) pipeline.Path {
	if len(paths) == 0 {
		return nil
	}
	return paths[0]
}

func limitRows() []Row {
	const g = groupLimits
	return []Row{
		{Name: "max_models", Kind: Int, Default: "256", Min: "1", Max: "100000", Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Models kept at once; the least recently used one is forgotten first.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.ModelsMax = int(v.Int) }},
		{Name: "memory_limit", Kind: Size, Default: "64MiB", Min: "1MiB", Max: "1024GiB", Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Memory for what all models have learned.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.MemoryMax = v.Int }},
		{Name: "max_templates", Kind: Int, Default: templatesDefault(), Min: "16", Max: "1000000", Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "Templates of one model; the least recently used one is forgotten first.",
			set:  func(s *Settings, v Value) { s.Pipeline.Engine.TemplatesMax = int(v.Int) }},
		{Name: "retry_buffer", Kind: Size, Default: "32MiB", Min: "0", Max: "64GiB", Scopes: Plugin, Group: g,
			Help: "Memory for encoded pushes that Loki has not accepted yet, so that a chunk that Fluent Bit brings again is neither scored nor sent twice.",
			set:  func(s *Settings, v Value) { s.Pipeline.RetryBufferBytes = v.Int }},
		{Name: "max_label_sets", Kind: Int, Default: "10000", Min: "1", Max: "10000000", Scopes: Plugin | Serve, Group: g,
			Help: "Label sets remembered, some 500 bytes each and flush worker. When there are more, some are forgotten and built anew as they come, which is told and counted and costs CPU, but no entry.",
			set:  func(s *Settings, v Value) { s.Pipeline.LabelSetsMax = int(v.Int) }},
	}
}

func stateRows() []Row {
	const g = groupState
	return []Row{
		{Name: "state_file", Kind: Text, Sample: "/var/lib/logscope/state", Scopes: Plugin | Serve, Group: g,
			Help: "File that keeps what was learned between runs. Each output section needs its own. Default: none, every start learns afresh.",
			set:  func(s *Settings, v Value) { s.Pipeline.StateFile = v.Text }},
		{Name: "mute_file", Kind: Text, Scopes: Plugin | Scan | Serve, Group: g,
			Help: "YAML file with findings that are not to be raised, by template, namespace or stream, and reason, each until a date; docs/operations.md shows one. It is read again when it changes.",
			set:  func(s *Settings, v Value) { s.Pipeline.MuteFile = v.Text }},
		{Name: "state_interval", Kind: Duration, Default: "5m", Min: "1s", Max: "30d", Scopes: Plugin | Serve, Group: g,
			Help: "How often the state file is written: what a crash may forget.",
			set:  func(s *Settings, v Value) { s.Pipeline.StateInterval = v.Duration() }},
		{Name: optionConfigFile, Kind: Text, Scopes: Plugin | Scan | Serve | Pipe, Group: g,
			Help: "YAML file with options by their names. Unknown options are errors. Options given elsewhere go before those of the file.",
			set:  func(*Settings, Value) {}},
	}
}

func metricsRows() []Row {
	const g = groupMetrics
	return []Row{
		{Name: "metrics_listen", Kind: Listen, Scopes: Plugin | Serve, Group: g,
			Help: "Address that serves Prometheus `/metrics`, and `/ready` and `/live` for health checks. A port alone, `2021`, is on `127.0.0.1`; give a host, `0.0.0.0:2021`, to be seen from elsewhere. Output sections may share one. Default: none.",
			set:  func(s *Settings, v Value) { s.Metrics.Listen = v.Text }},
		{Name: "metrics_pprof", Kind: Bool, Default: "off", Scopes: Plugin | Serve, Group: g,
			Help: "Serves Go's profiles under `/debug/pprof/` there. They show memory of the process: not for an address that others reach.",
			set:  func(s *Settings, v Value) { s.Metrics.Pprof = v.Bool }},
	}
}

func outputRows() []Row {
	const g = groupOutput
	return []Row{
		{Name: "all", Kind: Bool, Default: "off", Scopes: Scan, Group: g,
			Help: "Prints every line with its score, not only anomalies.",
			set:  func(s *Settings, v Value) { s.Scan.All = v.Bool }},
		{Name: "output", Kind: Choice, Default: "text", Choices: []string{"text", "ndjson"}, Scopes: Scan, Group: g,
			Help: "`text` for people, `ndjson` for programs: one JSON object a line.",
			set:  func(s *Settings, v Value) { s.Scan.Output = Output(v.Int) }},
		{Name: "color", Kind: Choice, Default: "auto", Choices: []string{"auto", "always", "never"}, Scopes: Scan, Group: g,
			Help: "Colours in text output: `auto` on a terminal where `NO_COLOR` is not set.",
			set:  func(s *Settings, v Value) { s.Scan.Color = Color(v.Int) }},
		{Name: "fail_on_anomaly", Kind: Bool, Default: "off", Scopes: Scan, Group: g,
			Help: "Ends with exit status 3 if there was an anomaly.",
			set:  func(s *Settings, v Value) { s.Scan.FailOnAnomaly = v.Bool }},
	}
}
