package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/plugin/metrics"
	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/plugin/view"
)

// version is set by the build.
var version = "dev"

// registry is what the plugin knows across its instances.
type registry struct {
	mu   sync.Mutex
	next int // number of the next instance, as in Fluent Bit's own names
	live map[*instance]struct{}
	left []pipeline.Left // spools of instances that ended, for others to send

	metrics metrics.Servers
	views   view.Servers
}

// preRegister is called before the plugin is registered, at start and for a
// hot reload: then the old instances still run, and are told.
func (r *registry) preRegister(hot bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = 0
	if !hot {
		return
	}
	for inst := range r.live {
		inst.pipe.Reload()
	}
}

// name is the next instance's.
func (r *registry) name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	return fmt.Sprintf("logscope.%d", r.next-1)
}

func (r *registry) enter(inst *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		r.live = map[*instance]struct{}{}
	}
	r.live[inst] = struct{}{}
}

func (r *registry) leave(inst *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, inst)
}

// inherit keeps what an instance that ended left.
func (r *registry) inherit(left []pipeline.Left) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = append(r.left, left...)
}

// bequeath gives inst what ended instances left and it can send. It is called with a flush, when all
// instances have been started: one that has the state file goes before others.
func (r *registry) bequeath(inst *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = slices.DeleteFunc(r.left, inst.pipe.Adopt)
}

// instance is one [OUTPUT] section.
type instance struct {
	host     *registry
	sink     *hostLog
	log      *slog.Logger
	pipe     *pipeline.Pipeline
	initiate int64 // thread that called Init: Fluent Bit's engine
	warned   atomic.Bool
	leave    func()       // ends the showing of metrics
	shown    *view.Member // in the live view; nil: not
}

// newInstance reads the options through lookup and starts a pipeline. What is
// wrong is logged, one line for each fault.
func newInstance(r *registry, sink *hostLog, thread int64, lookup func(string) string) (_ *instance, ok bool) {
	name := r.name()
	sink.prefix = "[output:logscope:" + name + "] "
	inst := &instance{host: r, sink: sink, log: slog.New(sink.logQueue), initiate: thread, leave: func() {}}
	defer func() {
		if p := recover(); p != nil {
			inst.log.Error(fmt.Sprintf(msgInitExit, "this output does not start", p, stack()))
			ok = false
		}
	}()
	settings, err := conf.Load(conf.Plugin, func(key string) (string, bool) {
		value := lookup(key)
		return value, value != ""
	})
	if err == nil {
		err = inst.start(settings)
	}
	if err != nil {
		logFaults(inst.log, err)
		return nil, false
	}
	for _, warning := range settings.Warnings {
		inst.log.Warn(warning)
	}
	inst.logSettings(settings.Dump())
	if m := settings.Metrics; m.Listen != "" {
		inst.leave = r.metrics.Join(metrics.Options{Listen: m.Listen, Pprof: m.Pprof, Version: version}, name, inst.pipe, inst.log)
	}
	r.enter(inst)
	return inst, true
}

// start makes the pipeline, and shows what it scores where that is asked for.
func (i *instance) start(settings *conf.Settings) (err error) {
	if v := settings.View; v.Listen != "" {
		i.shown, err = i.host.views.Join(view.Options{Listen: v.Listen, Origins: v.Origins, Threshold: settings.Pipeline.Engine.Threshold}, i.log)
		if err != nil {
			return err
		}
		settings.Pipeline.Observer = i.shown
	}
	i.pipe, err = pipeline.New(settings.Pipeline, i.log)
	switch {
	case i.shown == nil:
	case err != nil:
		i.shown.Leave()
	default:
		i.shown.Serve(i.pipe)
	}
	return err
}

// logSettings logs the options that were set, and on debug all of them.
func (i *instance) logSettings(all []string) {
	set := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.HasSuffix(s, "(default)") })
	i.log.Info(fmt.Sprintf(msgOptions, version, strings.Join(set, " ")))
	i.log.Debug(fmt.Sprintf(msgAll, strings.Join(all, " ")))
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
	if thread == i.initiate && !i.warned.Swap(true) {
		i.log.Warn(msgThread)
	}
	done := make(chan pipeline.Code, 1)
	go func() { done <- i.guarded(tag, data) }()
	return <-done
}

// guarded keeps a panic of ours from taking Fluent Bit down. The chunk stays with Fluent Bit.
func (i *instance) guarded(tag string, data []byte) (code pipeline.Code) {
	defer func() {
		if r := recover(); r != nil {
			i.log.Error(fmt.Sprintf(msgFault, tag, r, stack()))
			code = pipeline.Retry
			i.pipe.CountPanic()
		}
	}()
	i.host.bequeath(i)
	return i.pipe.Flush(tag, data)
}

func (i *instance) close() {
	defer func() {
		if r := recover(); r != nil {
			i.log.Error(fmt.Sprintf(msgInitExit, "what was learned since the last snapshot is lost", r, stack()))
		}
	}()
	i.leave()
	if i.shown != nil {
		i.shown.Leave()
	}
	err := i.pipe.Close()
	i.host.inherit(i.pipe.Left())
	if err != nil {
		i.log.Error(fmt.Sprintf(msgClose, err))
	}
}
