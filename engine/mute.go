package engine

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Mute keeps findings from being raised, whatever their value: one entry of a
// mute list. Empty fields stand for anything.
type Mute struct {
	TemplateID uint64
	// Stream names the streams concerned: one, or all that begin with what stands before a final *.
	Stream string
	Reason Reason
}

func (u *Mute) covers(s *subject) bool {
	if u.TemplateID != 0 && u.TemplateID != s.template || u.Reason != ReasonNone && u.Reason != s.reason {
		return false
	}
	if start, ok := strings.CutSuffix(u.Stream, "*"); ok {
		return strings.HasPrefix(s.stream, start)
	}
	return u.Stream == "" || u.Stream == s.stream
}

// SetMutes replaces the mute list. Findings that it covers keep their scores
// and are counted in Stats.Muted; models learn as ever.
func (e *Engine) SetMutes(mutes []Mute) { e.book.mutes = append([]Mute(nil), mutes...) }

// Mutes returns the mute list.
func (e *Engine) Mutes() []Mute { return append([]Mute(nil), e.book.mutes...) }

// quiet tells whether an event must not be raised, and counts it.
func (b *book) quiet(s *subject) bool {
	quiet, _ := b.silent(s)
	if quiet {
		b.muted[s.reason]++
	}
	return quiet
}

// silent tells whether a finding must not be raised, and whether the record
// keeps its score: a muted one is as rare as ever, one called normal is not.
func (b *book) silent(s *subject) (quiet, keep bool) {
	for i := range b.mutes {
		if b.mutes[i].covers(s) {
			return true, true
		}
	}
	f := b.about(s)
	return f != nil && f.Opinion == Normal, false
}

// TemplateID is the id of the template with the given text.
func TemplateID(text string) uint64 { return xxhash.Sum64String(text) }
