package pipeline

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// relayShards is how many engines a Relay has: models are spread over them by
// name, so that several cores score at once. It is fixed, whatever the machine,
// since each has a state file of its own. An engine has its part of max_models
// and memory_limit.
const relayShards = 4

// Relay scores pushes on their way from a sender to Loki. One push in is one
// push out, and the answer is Loki's own: nothing is kept here but what was
// said of a push, so that a sender that sends it again gets it scored once and
// sent byte for byte the same.
type Relay struct {
	cfg    Config
	log    *slog.Logger
	client *loki.Client
	shards []*Pipeline // the first one's counts are also those of what belongs to no shard
	sets   relaySets
	memory *relayMemory
	seed   maphash.Seed
	// senders is what is known of who sends.
	senders relaySenders
	// fleetFrom is from when on, by the records' time, a finding about the fleet
	// can only be about what came in this run, in Unix nanoseconds.
	fleetFrom int64
}

// plainFor is how long a Loki that refused structured metadata is spared it.
const plainFor = 10 * time.Minute

// RelayPush is one push of a sender.
type RelayPush struct {
	// Send is how it goes to Loki. Its Body is sent as it is where nothing is to
	// be added and Verbatim is set, else it is replaced.
	Send     loki.Forward
	Verbatim bool
	// Owner tells senders apart that have no tenant: their models are separate.
	Owner string
	// Identity is what a push that is sent again is known by: the bytes that came, and what they were taken for.
	Identity []byte
	Format   string
	// Raw gives the push as protobuf, uncompressed. now stands for times that
	// the sender did not give; timeless says that there were such: the same
	// bytes may then be another push, once this one is delivered.
	Raw func(now int64) (raw []byte, timeless bool, err error)
}

// NewRelay makes a Relay. Of cfg.Shape only the tenant is used: labels and
// lines are the sender's.
func NewRelay(cfg Config, log *slog.Logger) (*Relay, error) {
	cfg.Shape = Shape{}
	client, err := loki.NewClient(cfg.Loki)
	if err != nil {
		return nil, errors.Join(cfg.Validate(), err)
	}
	r := &Relay{cfg: cfg, log: log, client: client, memory: newRelayMemory(), seed: maphash.MakeSeed()}
	r.sets.max = cfg.LabelSetsMax
	cfg.Engine.ModelsMax = max(cfg.Engine.ModelsMax/relayShards, 1)
	cfg.Engine.MemoryMax /= relayShards
	for i := range relayShards {
		own := cfg
		if i > 0 && cfg.StateFile != "" {
			own.StateFile = shardFile(cfg.StateFile, i)
		}
		p, err := newShard(own, log, cfg.StateFile, i > 0)
		if err != nil {
			_ = r.Close()
			return nil, err
		}
		r.shards = append(r.shards, p)
		if p.Stats().Engine.Models > 0 { // of an earlier run, whoever sent them then
			r.fleetFrom = time.Now().UnixNano() + fleetReach
		}
	}
	return r, nil
}

// shardFile is the state file of a shard but the first, whose it is itself.
func shardFile(stateFile string, shard int) string { return fmt.Sprintf("%s.%d", stateFile, shard) }

// ShardFiles are the state files beside that of a Relay: of its other shards.
func ShardFiles(stateFile string) (paths []string) {
	for i := 1; i < relayShards; i++ {
		paths = append(paths, shardFile(stateFile, i))
	}
	return paths
}

// Close writes the state files. Pushes under way should have been answered.
func (r *Relay) Close() error {
	var errs []error
	for _, p := range r.shards {
		errs = append(errs, p.Close())
	}
	r.client.Close()
	return errors.Join(errs...)
}

// ErrMalformed is of a push that could not be read.
var ErrMalformed = errors.New("cannot read the push")

// Push scores a push, sends it to Loki and returns Loki's answer. A push that
// cannot be read is sent as it came, where Loki can read that: what is wrong
// with it Loki says best. Else it is an error.
func (r *Relay) Push(ctx context.Context, push *RelayPush) (loki.Answer, error) {
	started := time.Now()
	defer func() {
		took := time.Since(started).Seconds()
		r.count(func(c *Counts) { c.FlushSeconds.Observe(took) })
	}()
	for _, p := range r.shards {
		p.lookAtFiles(started)
	}
	key := r.key(push)
	told, first := r.memory.enter(key)
	job := relayJob{r: r, push: push, told: told, first: first}
	defer job.close() // whatever happens: nobody must wait for ever
	if first {
		told.now = started.UnixNano()
	} else {
		r.count(func(c *Counts) { c.Redelivered++ })
		if err := told.wait(ctx); err != nil {
			return loki.Answer{Err: err}, nil
		}
	}
	if err := job.read(); err != nil {
		r.memory.forget(key)
		return r.unread(ctx, push, err)
	}
	if first {
		job.score()
		r.shards[0].warnMasks() // all have the same ones
	}
	answer := job.send(ctx)
	r.memory.settle(key, told, isFinal(answer.Status))
	return answer, nil
}

// isFinal says that a sender does not send a push again after this answer.
func isFinal(status int) bool {
	return status/100 == 2 || status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

// key names a push: what comes again has the same owner and bytes.
func (r *Relay) key(push *RelayPush) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(push.Send.Tenant)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(push.Owner)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(push.Format)
	_ = h.WriteByte(0)
	_, _ = h.Write(push.Identity)
	return h.Sum64()
}

// unread sends what could not be read as it came.
func (r *Relay) unread(ctx context.Context, push *RelayPush, why error) (loki.Answer, error) {
	r.count(func(c *Counts) { c.ChunksDamaged++ })
	if r.warns("unread") {
		r.log.Warn(fmt.Sprintf(msgUnread, why))
	}
	if !push.Verbatim {
		return loki.Answer{}, fmt.Errorf("%w: %w", ErrMalformed, why)
	}
	return r.forward(ctx, &push.Send), nil
}

// forward sends one request and counts what came of it.
func (r *Relay) forward(ctx context.Context, f *loki.Forward) loki.Answer {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.FlushTimeout)
	defer cancel()
	answer := r.client.Forward(ctx, f)
	rep := &answer.Report
	if ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		rep.Err = nil // the sender went away: that says nothing of Loki
		r.count(func(c *Counts) { c.delivered(rep) })
		return answer
	}
	r.report(rep)
	return answer
}

// report counts what became of one request, and says what a person should know.
func (r *Relay) report(rep *loki.Report) {
	now := time.Now()
	r.count(func(c *Counts) {
		c.delivered(rep)
		if rep.Err != nil {
			c.Retries++
		}
	})
	if failed := r.shards[0].noteDelivery(rep.Err, now); failed > 0 {
		r.log.Info(fmt.Sprintf(msgRecovered, failed.Round(time.Second)))
	}
	refused := 0
	for _, n := range rep.Refused {
		refused += n
	}
	if refused > 0 && r.warns("refused") {
		r.log.Warn(fmt.Sprintf(msgRefused, refused, rep.Refused, rep.Sample))
	}
	if rep.Err != nil && r.shards[0].warns.allow(deliverKey(rep.Err), now) {
		r.log.Error(fmt.Sprintf(msgPassedOn, rep.Err))
	}
}

func (r *Relay) count(f func(*Counts)) { r.shards[0].count(f) }

func (r *Relay) warns(key string) bool { return r.shards[0].warns.allow(key, time.Now()) }

// shardOf is the shard that a model belongs to, in this run as in others.
func shardOf(model string) int { return int(xxhash.Sum64String(model) % relayShards) }

// Health is what the last delivery came to.
func (r *Relay) Health() Health { return r.shards[0].Health() }

// Stats returns what is known now, of all shards together.
func (r *Relay) Stats() Stats {
	s := r.shards[0].Stats()
	for _, p := range r.shards[1:] {
		s.add(p.Stats())
	}
	s.Engine.EventsDropped += r.senders.lost()
	s.RetryChunks, s.RetryBytes = r.memory.size()
	return s
}

// add adds what another shard counts; the rest only the first one has.
func (s *Stats) add(o Stats) {
	for i := range s.Anomalies {
		s.Anomalies[i] += o.Anomalies[i]
		s.Events[i] += o.Events[i]
	}
	s.Unscored += o.Unscored
	s.Panics += o.Panics
	s.StateFailures += o.StateFailures
	s.Scores.add(&o.Scores)
	s.ScoreSeconds.add(&o.ScoreSeconds)
	addEngine(&s.Engine, &o.Engine)
	s.StateBytes += o.StateBytes
	if o.StateWritten.Before(s.StateWritten) {
		s.StateWritten = o.StateWritten // the oldest: an age is what may be lost
	}
}

// addEngine adds what another engine counts. Each holds its own part of the
// models, and all have the same words.
func addEngine(s, o *engine.Stats) {
	s.Records += o.Records
	s.Anomalies += o.Anomalies
	s.Events += o.Events
	if models := s.Models + o.Models; models > 0 { // an average
		s.Confidence = (s.Confidence*float64(s.Models) + o.Confidence*float64(o.Models)) / float64(models)
	}
	s.Models += o.Models
	s.Templates += o.Templates
	s.Sessions += o.Sessions
	s.ModelsEvicted += o.ModelsEvicted
	s.TemplatesEvicted += o.TemplatesEvicted
	s.EventsDropped += o.EventsDropped
	s.MemoryBytes += o.MemoryBytes
	s.Cold += o.Cold
	s.Unstructured += o.Unstructured
	for i := range s.Muted {
		s.Muted[i] += o.Muted[i]
	}
	s.Held += o.Held
	s.Feedback = max(s.Feedback, o.Feedback)
}

// add adds the counts of another histogram with the same bounds.
func (h *Histogram) add(o *Histogram) {
	for i := range h.Counts {
		h.Counts[i] += o.Counts[i]
	}
	h.Sum += o.Sum
	h.Count += o.Count
}

// CountPanic counts a fault that was caught outside.
func (r *Relay) CountPanic() { r.shards[0].CountPanic() }

// Judge says what the model of a stream would make of a line now, as Pipeline.Judge does.
func (r *Relay) Judge(stream string, line []byte) (engine.Verdict, error) {
	return r.shards[shardOf(stream)].Judge(stream, line)
}

// Teach takes a person's word on a finding, as Pipeline.Teach does.
func (r *Relay) Teach(f engine.Feedback) ([]engine.Feedback, error) {
	if f.At == 0 {
		f.At = time.Now().UnixNano() // one moment for all shards
	}
	if f.Stream != "" {
		return r.shards[shardOf(f.Stream)].Teach(f)
	}
	var all []engine.Feedback
	var errs []error
	for _, p := range r.shards {
		words, err := p.Teach(f)
		all = append(all, words...)
		if err != nil && !errors.Is(err, engine.ErrUnknownTemplate) {
			errs = append(errs, err)
		}
	}
	if len(all) == 0 && len(errs) == 0 {
		return nil, engine.ErrUnknownTemplate
	}
	return all, errors.Join(errs...)
}
