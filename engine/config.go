package engine

import (
	"errors"
	"fmt"

	"github.com/logscope/logscope/engine/drain"
)

// Config is what an Engine needs to know. The zero value is not valid; start from DefaultConfig.
type Config struct {
	// Threshold is the score from which a record is an anomaly, 0..1.
	Threshold float64
	// ModelsMax bounds the streams that have a model; the least recently used one goes first.
	ModelsMax int
	// MemoryMax bounds the learned state of all models, in bytes.
	MemoryMax int64
	// TemplatesMax bounds the templates of one model.
	TemplatesMax int
	// TimeLayout is the Go layout of the time in a raw line's header; empty means recognise the usual ones.
	TimeLayout string
	// Warmup is the number of records a model sees before it raises anomalies.
	Warmup int
	// Masks find values in messages before the engine's own masks do: a user's own patterns. They must
	// give the same spans for the same message. Snapshots hold none.
	Masks []drain.Mask
	// Delimiters separate words as spaces do, beside the usual ones.
	Delimiters []string
	// AlertBudget is how many anomalies a model may raise in an hour of its records, events included; 0: any number.
	AlertBudget int
	// Ahead reads the lines of long blocks on another goroutine, ahead of their scoring; verdicts are the same.
	// Score returns when that has ended. nil: all is done by Score's caller.
	Ahead *drain.Ahead
	// Without is a detector to leave out, to measure what it contributes; nobody
	// needs it otherwise.
	Without Detector
}

// DefaultConfig returns the configuration that the documented figures were measured with.
func DefaultConfig() Config {
	return Config{
		Threshold:    0.5,
		ModelsMax:    256,
		MemoryMax:    64 << 20,
		TemplatesMax: 2000,
		Warmup:       500,
	}
}

// Validate reports every field that no Engine can work with.
func (c *Config) Validate() error {
	var errs []error
	if !(c.Threshold >= 0 && c.Threshold <= 1) {
		errs = append(errs, fmt.Errorf("got threshold %v; want 0 to 1", c.Threshold))
	}
	if c.ModelsMax < 1 {
		errs = append(errs, fmt.Errorf("got at most %d models; want 1 or more", c.ModelsMax))
	}
	if c.MemoryMax < memoryLeast {
		errs = append(errs, fmt.Errorf("got at most %d bytes of memory; want %d or more", c.MemoryMax, memoryLeast))
	}
	if c.TemplatesMax < 1 || c.TemplatesMax > templatesLimit {
		errs = append(errs, fmt.Errorf("got at most %d templates; want 1 to %d", c.TemplatesMax, templatesLimit))
	}
	if c.Warmup < 0 {
		errs = append(errs, fmt.Errorf("got a warm-up of %d records; want 0 or more", c.Warmup))
	}
	if len(c.Masks) > drain.MasksMax {
		errs = append(errs, fmt.Errorf("got %d masks; want at most %d", len(c.Masks), drain.MasksMax))
	}
	if len(c.Delimiters) > drain.DelimitersMax {
		errs = append(errs, fmt.Errorf("got %d delimiters; want at most %d", len(c.Delimiters), drain.DelimitersMax))
	}
	if c.AlertBudget < 0 || c.AlertBudget > budgetMost {
		errs = append(errs, fmt.Errorf("got an alert budget of %d an hour; want 0 to %d", c.AlertBudget, budgetMost))
	}
	if c.Without >= detectors {
		errs = append(errs, fmt.Errorf("got detector %d to leave out; want less than %d", c.Without, detectors))
	}
	return errors.Join(errs...)
}
