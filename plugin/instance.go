package main

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/plugin/pipeline"
)

// version is set by the build.
var version = "dev"

// registry is what the plugin knows across its instances.
type registry struct {
	mu        sync.Mutex
	next      int // number of the next instance, as in Fluent Bit's own names
	live      int
	reloading bool
}

// preRegister is called before the plugin is registered, at start and for a
// hot reload: then the old instances still run.
func (r *registry) preRegister(hot bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reloading = hot
	r.next = 0
}

func (r *registry) enter() (name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = fmt.Sprintf("logscope.%d", r.next)
	r.next++
	r.live++
	return name
}

func (r *registry) leave(*instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live--
}

// instance is one [OUTPUT] section.
type instance struct {
	sink     *hostLog
	log      *slog.Logger
	pipe     *pipeline.Pipeline
	initiate int64 // thread that called Init: Fluent Bit's engine
	warned   atomic.Bool
}

// newInstance reads the options through lookup and starts a pipeline. What is
// wrong is logged, one line for each fault.
func newInstance(r *registry, sink *hostLog, thread int64, lookup func(string) string) (*instance, bool) {
	name := r.enter()
	sink.prefix = "[output:logscope:" + name + "] "
	inst := &instance{sink: sink, log: slog.New(sink.logQueue), initiate: thread}
	settings, err := conf.Load(conf.Plugin, func(key string) (string, bool) {
		value := lookup(key)
		return value, value != ""
	})
	if err == nil {
		inst.pipe, err = pipeline.New(settings.Pipeline, inst.log)
	}
	if err != nil {
		logFaults(inst.log, err)
		r.leave(inst)
		return nil, false
	}
	for _, warning := range settings.Warnings {
		inst.log.Warn(warning)
	}
	inst.log.Info("version " + version + ": " + strings.Join(settings.Dump(), " "))
	return inst, true
}

// logFaults logs each of several joined errors in a line of its own.
func logFaults(log *slog.Logger, err error) {
	for line := range strings.Lines(err.Error()) {
		log.Error(strings.TrimRight(line, "\n"))
	}
}

// flush takes a chunk to Loki. The work is done on a goroutine of its own,
// since this one runs on the small stack of a Fluent Bit coroutine.
func (i *instance) flush(tag string, data []byte, thread int64) pipeline.Code {
	if i.pipe == nil {
		return pipeline.Retry
	}
	if thread == i.initiate && !i.warned.Swap(true) {
		i.log.Warn("flushes run on Fluent Bit's engine thread, where a slow Loki holds up every input and output: add 'Workers 1' to this output")
	}
	done := make(chan pipeline.Code, 1)
	go func() { done <- i.guarded(tag, data) }()
	return <-done
}

// guarded keeps a panic of ours from taking Fluent Bit down. The chunk stays with Fluent Bit.
func (i *instance) guarded(tag string, data []byte) (code pipeline.Code) {
	defer func() {
		if r := recover(); r != nil {
			i.log.Error(fmt.Sprintf("a fault in logscope, please report it; the chunk with tag %q stays with Fluent Bit: %v\n%s", tag, r, stack()))
			code = pipeline.Retry
		}
	}()
	return i.pipe.Flush(tag, data)
}

func (i *instance) close() {
	if i.pipe == nil {
		return
	}
	if err := i.pipe.Close(); err != nil {
		i.log.Error(fmt.Sprintf("cannot close cleanly: %v", err))
	}
}
