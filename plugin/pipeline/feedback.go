package pipeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/logscope/logscope/engine"
)

const (
	// feedbackBytesMax bounds the file of feedback: 10,000 words of some 300 bytes are 3 MB.
	feedbackBytesMax = 16 << 20
	// feedbackWait is how long a writer waits for another one, which takes milliseconds.
	feedbackWait = 5 * time.Second
)

// FeedbackFile is where what people said of the findings of a state file is
// kept: beside it, so that neither a damaged state nor a plugin that writes
// its own takes it along. docs/design/0010 says why.
func FeedbackFile(stateFile string) string { return stateFile + ".feedback" }

// feedbackLine is one word in the file: a JSON object a line.
type feedbackLine struct {
	At         time.Time `json:"at"`
	Opinion    string    `json:"opinion"`
	TemplateID string    `json:"template_id"`
	Reason     string    `json:"reason,omitempty"`
	Slot       int       `json:"variable,omitempty"`
	Value      string    `json:"value,omitempty"`
	Level      float64   `json:"level,omitempty"`
	Stream     string    `json:"stream,omitempty"`
	Template   string    `json:"template,omitempty"`
}

// ReadFeedback returns the words given on a state file; none where there is no
// file. Of a file with a bad line it returns those before it, and an error that names the line.
func ReadFeedback(stateFile string) ([]engine.Feedback, error) {
	path := FeedbackFile(stateFile)
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read feedback: %w", err)
	}
	defer func() { _ = in.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(in, feedbackBytesMax+1))
	if err == nil && len(data) > feedbackBytesMax {
		err = fmt.Errorf("more than %d bytes", feedbackBytesMax)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read feedback %q: %w", path, err)
	}
	return parseFeedback(path, data)
}

func parseFeedback(path string, data []byte) (words []engine.Feedback, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, feedbackBytesMax)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		f, err := parseWord(lines.Bytes())
		if err != nil {
			return words, fmt.Errorf("feedback %q, line %d: %w", path, n, err)
		}
		words = append(words, f)
	}
	return words, nil
}

func parseWord(line []byte) (f engine.Feedback, err error) {
	var in feedbackLine
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return f, err
	}
	f = engine.Feedback{Slot: in.Slot, Value: in.Value, Level: in.Level, Stream: in.Stream, Text: in.Template, At: in.At.UnixNano()}
	if f.TemplateID, err = strconv.ParseUint(in.TemplateID, 16, 64); err != nil || len(in.TemplateID) != 16 {
		return f, fmt.Errorf("got template_id %q; want 16 hexadecimal digits", in.TemplateID)
	}
	for o := engine.Normal; o <= engine.Forgotten; o++ {
		if o.String() == in.Opinion {
			f.Opinion = o
		}
	}
	if f.Opinion == 0 {
		return f, fmt.Errorf("got opinion %q; want normal, anomalous or forgotten", in.Opinion)
	}
	if in.Reason != "" {
		var ok bool
		if f.Reason, ok = engine.ParseReason(in.Reason); !ok {
			return f, fmt.Errorf("got reason %q, which does not exist", in.Reason)
		}
	}
	return f, f.Check()
}

func formatFeedback(words []engine.Feedback) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range words {
		f := &words[i]
		err := enc.Encode(feedbackLine{At: time.Unix(0, f.At).UTC(), Opinion: f.Opinion.String(), TemplateID: templateID(f.TemplateID),
			Reason: f.Reason.String(), Slot: f.Slot, Value: f.Value, Level: f.Level, Stream: f.Stream, Template: f.Text})
		if err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// AddFeedback adds words to those given on a state file. The file is replaced
// atomically; a file that cannot be read whole is left as it is.
func AddFeedback(stateFile string, words []engine.Feedback) error {
	path := FeedbackFile(stateFile)
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		return fmt.Errorf("cannot write feedback: %w", err)
	}
	defer func() { _ = lock.Close() }() // closing gives the lock back
	for until := time.Now().Add(feedbackWait); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(until) {
			return fmt.Errorf("cannot write feedback %q: another process holds its lock: %w", path, err)
		}
	}
	before, err := ReadFeedback(stateFile)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	data, err := formatFeedback(engine.MergeFeedback(append(before, words...)))
	if err == nil {
		err = renameio.WriteFile(path, data, 0o640, renameio.WithTempDir(filepath.Dir(path)))
	}
	if err != nil {
		return fmt.Errorf("cannot write feedback %q: %w", path, err)
	}
	return nil
}

// Teach takes a person's word on a finding, for the engine that runs and, where
// there is a state file, for those after it. It returns the word as it was
// entered, one for each finding meant. With an error that is not the engine's, the
// word holds until the next start only.
func (p *Pipeline) Teach(f engine.Feedback) ([]engine.Feedback, error) {
	if !p.cfg.Score {
		return nil, fmt.Errorf("cannot teach: %w", ErrNoScoring)
	}
	if f.At == 0 {
		f.At = time.Now().UnixNano()
	}
	words, err := p.teach(f)
	if err != nil || p.state == nil {
		return words, err
	}
	return words, AddFeedback(p.wordsOf, words)
}

// teach gives the lock back even if the engine panics: scoring would wait for ever.
func (p *Pipeline) teach(f engine.Feedback) ([]engine.Feedback, error) {
	p.scoring.Lock()
	defer p.scoring.Unlock()
	return p.engine.Teach(f)
}

// Feedback returns what people have said.
func (p *Pipeline) Feedback() []engine.Feedback {
	if !p.cfg.Score {
		return nil
	}
	p.scoring.Lock()
	defer p.scoring.Unlock()
	return p.engine.Feedback()
}

// Told returns the findings that the models remember to have told.
func (p *Pipeline) Told() []engine.Told {
	if !p.cfg.Score {
		return nil
	}
	p.scoring.Lock()
	defer p.scoring.Unlock()
	return p.engine.Told()
}

// stamp tells whether a file has changed.
type stamp struct {
	written time.Time
	bytes   int64
	inode   uint64
}

// stampOf returns a file's stamp; the zero one where there is none.
func stampOf(path string) (s stamp) {
	info, err := os.Stat(path)
	if err != nil {
		return s
	}
	s = stamp{written: info.ModTime(), bytes: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

// mergeFeedback takes up what people said since, where the file has changed. The caller holds scoring.
func (p *Pipeline) mergeFeedback() {
	if p.state == nil || p.engine == nil {
		return
	}
	now := stampOf(FeedbackFile(p.wordsOf))
	if now == p.state.heard {
		return
	}
	p.state.heard = now
	words, err := ReadFeedback(p.wordsOf)
	if err != nil && !p.second {
		p.log.Warn(fmt.Sprintf(msgFeedbackRead, err))
	}
	if news := p.engine.Merge(words); news > 0 && !p.second {
		p.log.Info(fmt.Sprintf(msgFeedback, news, FeedbackFile(p.wordsOf)))
	}
}
