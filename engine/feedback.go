package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/logscope/logscope/engine/sketch"
)

// Opinion is what a person says of a finding.
type Opinion uint8

// Opinions.
const (
	// Normal findings are not raised any more, until they change.
	Normal Opinion = iota + 1
	// Anomalous ones are raised again when they come again.
	Anomalous
	// Forgotten takes back what was said before.
	Forgotten
)

// String returns the opinion as people write it.
func (o Opinion) String() string {
	switch o {
	case Normal:
		return "normal"
	case Anomalous:
		return "anomalous"
	case Forgotten:
		return "forgotten"
	}
	return ""
}

// Feedback is a person's word on the findings of one template: on one of
// them, where Slot or Value say which, else on all of one reason.
//
// A finding that a word calls normal is not raised, wherever the template
// comes; it stays quiet while it is the same one: of the same reason, at the
// same variable with the same value (of the same session step, route, status,
// line before), and of less than twice the Level. Anything else about the
// template is judged as if nothing had been said.
//
// One that a word calls anomalous counts for markNats more; and the line
// itself, or the value or level, is a finding whenever it comes, though
// nothing else about it is unusual.
type Feedback struct {
	// Stream limits the word to the model of one stream; empty: all models.
	Stream string
	// TemplateID is the template's, Text what it read when the word was given, for people.
	TemplateID uint64
	Text       string
	Reason     Reason // ReasonNone: any
	// Slot is the number of the variable, from 1; 0: any, or none.
	Slot int
	// Value is the value, as About.Value has it; empty: any.
	Value string
	// Level is how large the count or number was; 0: however large.
	Level   float64
	Opinion Opinion
	// At is when the word was given, Unix nanoseconds. Of two words on one finding the later one counts.
	At int64
}

const (
	// markNats is what a person's word adds to the surprise of a finding: as a
	// likelihood ratio, 20 to 1.
	markNats = 3.0
	// levelTimes is how far a count or a number may grow beyond the one called
	// normal before it is another finding.
	levelTimes = 2.0
	// feedbackMax bounds the words, some 200 bytes each and their texts.
	feedbackMax = 10_000
	// valueMax and feedbackTextMax bound a value and the text of a template in
	// a word. Longer values are compared up to there.
	valueMax        = 512
	feedbackTextMax = 300
)

// Errors of Teach, wrapped with what they are about.
var (
	ErrUnknownTemplate = errors.New("no model knows this template")
	ErrUnclear         = errors.New("it is not clear which finding is meant")
	ErrFeedbackFull    = errors.New("there is no room for more feedback")
)

// subject is what a finding is about: two findings with one subject are the same again.
type subject struct {
	stream   string
	template uint64
	reason   Reason
	slot     int // from 1
	value    string
	level    float64
	numeric  bool // value is the level, as text
}

// covers tells whether the word is about the finding.
func (f *Feedback) covers(s *subject) bool {
	switch {
	case f.Stream != "" && f.Stream != s.stream,
		f.Reason != ReasonNone && f.Reason != s.reason,
		f.Slot != 0 && f.Slot != s.slot,
		f.Value != "" && f.Value != s.value && !(s.numeric && f.Level > 0),
		f.Level > 0 && jointly(f.Value) != jointly(s.value): // a number, or how far one is off beside others
		return false
	}
	if f.Level == 0 {
		return true
	}
	if f.Opinion == Anomalous {
		return s.level >= f.Level/levelTimes
	}
	return s.level > 0 && s.level < levelTimes*f.Level
}

// detail says how narrow a word is: the narrower one goes before.
func (f *Feedback) detail() int {
	n := 0
	for i, given := range [...]bool{f.Reason != ReasonNone, f.Slot != 0, f.Value != "" || f.Level != 0, f.Stream != ""} {
		if given {
			n |= 1 << i
		}
	}
	return n
}

// key is what a later word replaces an earlier one by.
func (f *Feedback) key() feedbackKey {
	return feedbackKey{f.Stream, f.TemplateID, f.Reason, f.Slot, f.Value}
}

type feedbackKey struct {
	stream   string
	template uint64
	reason   Reason
	slot     int
	value    string
}

// book holds what people have said. Nothing in it is asked for a record that
// is not a finding, unless words call something anomalous.
type book struct {
	words map[feedbackKey]Feedback // with those forgotten, so that an older copy does not bring them back
	// by are the words that count, by template, the narrowest first.
	by        map[uint64][]Feedback
	forgotten int // how many of words are
	// marks is the number of words in by that call something anomalous.
	marks int
	mutes []Mute
	muted [reasonsMax]uint64
	// held counts the findings that the alert budget held back.
	held uint64
}

// reasonsMax is the number of reasons there are, with ReasonNone.
const reasonsMax = int(ReasonFleet) + 1

func newBook() *book {
	return &book{words: map[feedbackKey]Feedback{}, by: map[uint64][]Feedback{}}
}

// enter takes a word and tells whether it is news; index must follow. Where the
// book is full, the word that was forgotten longest ago goes for a new one.
func (b *book) enter(f Feedback) bool {
	f.Value = cut(f.Value, valueMax)
	f.Text = cut(f.Text, feedbackTextMax)
	key := f.key()
	old, known := b.words[key]
	switch {
	case known && old.At >= f.At:
		return false
	case !known && len(b.words) >= feedbackMax && !b.makeRoom(&f):
		return false
	}
	if known && old.Opinion == Forgotten {
		b.forgotten--
	}
	if f.Opinion == Forgotten {
		b.forgotten++
	}
	b.words[key] = f
	return true
}

// makeRoom drops the word forgotten longest ago. It does not where there is
// none, or where f is one forgotten before that.
func (b *book) makeRoom(f *Feedback) bool {
	if b.forgotten == 0 {
		return false
	}
	var oldest *Feedback
	for _, w := range b.words {
		if w.Opinion == Forgotten && (oldest == nil || older(&w, oldest)) {
			oldest = &w
		}
	}
	if f.Opinion == Forgotten && older(f, oldest) {
		return false
	}
	delete(b.words, oldest.key())
	b.forgotten--
	return true
}

// older orders words by when they were given.
func older(x, y *Feedback) bool {
	return cmp.Or(cmp.Compare(x.At, y.At), compareKeys(x.key(), y.key())) < 0
}

// enterAll takes all the words, those that change an earlier one first as they
// need no room, or none of them.
func (b *book) enterAll(words []Feedback) error {
	var change, add []Feedback
	fresh, spare := map[feedbackKey]bool{}, b.forgotten
	for _, f := range words {
		f.Value = cut(f.Value, valueMax)
		old, known := b.words[f.key()]
		if !known {
			fresh[f.key()] = true
			add = append(add, f)
			continue
		}
		change = append(change, f)
		if old.Opinion == Forgotten {
			spare--
		}
	}
	if len(b.words)-spare+len(fresh) > feedbackMax {
		return fmt.Errorf("%w: got %d words; forget some", ErrFeedbackFull, len(b.words))
	}
	for _, f := range append(change, add...) {
		b.enter(f)
	}
	b.index()
	return nil
}

// index lists the words that count by template.
func (b *book) index() {
	clear(b.by)
	b.marks = 0
	for _, f := range b.words {
		if f.Opinion == Forgotten {
			continue
		}
		if f.Opinion == Anomalous {
			b.marks++
		}
		b.by[f.TemplateID] = append(b.by[f.TemplateID], f)
	}
	for _, list := range b.by {
		slices.SortFunc(list, func(x, y Feedback) int {
			return cmp.Or(cmp.Compare(y.detail(), x.detail()), cmp.Compare(y.At, x.At), compareKeys(x.key(), y.key()))
		})
	}
}

func compareKeys(x, y feedbackKey) int {
	return cmp.Or(cmp.Compare(x.template, y.template), cmp.Compare(x.reason, y.reason), cmp.Compare(x.slot, y.slot),
		cmp.Compare(x.value, y.value), cmp.Compare(x.stream, y.stream))
}

// about returns the word on a finding, nil where there is none.
func (b *book) about(s *subject) *Feedback {
	list := b.by[s.template]
	for i := range list {
		if list[i].covers(s) {
			return &list[i]
		}
	}
	return nil
}

// follow lets the words on a template whose text has changed hold for its new id too.
func (b *book) follow(from, to uint64) {
	if len(b.by[from]) == 0 {
		return
	}
	for _, f := range b.by[from] {
		f.TemplateID = to
		b.enter(f)
	}
	b.index()
}

// counting is the number of words not taken back.
func (b *book) counting() (n int) {
	for _, list := range b.by {
		n += len(list)
	}
	return n
}

// list returns all words, in order.
func (b *book) list() []Feedback {
	list := make([]Feedback, 0, len(b.words))
	for _, f := range b.words {
		list = append(list, f)
	}
	slices.SortFunc(list, func(x, y Feedback) int {
		return cmp.Or(cmp.Compare(x.At, y.At), compareKeys(x.key(), y.key()))
	})
	return list
}

// Feedback returns all words that count or were taken back, in the order in which they were given.
func (e *Engine) Feedback() []Feedback { return e.book.list() }

// Merge takes words as Teach returned them, of this Engine or of another one,
// in any order and any number of times. It returns how many were news.
func (e *Engine) Merge(words []Feedback) (news int) {
	for i := range words {
		if err := words[i].Check(); err == nil && e.book.enter(words[i]) {
			news++
		}
	}
	if news > 0 {
		e.book.index()
	}
	return news
}

// MergeFeedback returns words without those that later ones replace, in the
// order in which they were given.
func MergeFeedback(words []Feedback) []Feedback {
	b := newBook()
	for i := range words {
		b.enter(words[i])
	}
	return b.list()
}

// Check says what is wrong with a word.
func (f *Feedback) Check() error {
	switch {
	case f.Opinion < Normal || f.Opinion > Forgotten:
		return fmt.Errorf("got opinion %d; want normal, anomalous or forgotten", f.Opinion)
	case f.Reason == ReasonDrift || f.Reason == ReasonFleet:
		return fmt.Errorf("%w: a %s is about a whole log and told once; there is nothing to learn from it", ErrUnclear, f.Reason)
	case f.Reason > ReasonFleet:
		return fmt.Errorf("got reason %d; want at most %d", f.Reason, ReasonFleet)
	case f.Slot < 0 || f.Slot > slotMost || !(f.Level >= 0):
		return fmt.Errorf("got variable %d and level %v; want 1 to %d and at least 0", f.Slot, f.Level, slotMost)
	}
	return nil
}

// slotMost is the highest number of a variable in a word.
const slotMost = 255

// Teach takes a person's word and returns it as it is entered: where neither
// Slot nor Value say which finding is meant, one for each that was told about
// the template (and reason) and is remembered, else one for the reason as a
// whole. Of the access and parameter detectors, who speak about single values,
// a whole reason cannot be called normal. At must be set.
func (e *Engine) Teach(f Feedback) ([]Feedback, error) {
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("cannot teach: %w", err)
	}
	if err := e.canonical(&f); err != nil {
		return nil, fmt.Errorf("cannot teach: %w", err)
	}
	var words []Feedback
	switch known := e.toldAbout(&f); {
	case f.Opinion == Forgotten:
		words = e.forgetting(&f)
	case len(known) > 0:
		for i := range known {
			words = append(words, f.narrow(&known[i]))
		}
	default:
		whole, err := e.wide(f)
		if err != nil {
			return nil, fmt.Errorf("cannot teach: %w", err)
		}
		words = append(words, whole)
	}
	if err := e.book.enterAll(words); err != nil {
		return nil, fmt.Errorf("cannot teach: %w", err)
	}
	return words, nil
}

// canonical replaces a former id of a template by its present one, and sets its text.
func (e *Engine) canonical(f *Feedback) error {
	known := false
	for el := e.recent.Front(); el != nil; el = el.Next() {
		m := el.Value.(*model)
		if f.Stream != "" && f.Stream != m.stream {
			continue
		}
		if c, ok := m.miner.Resolve(f.TemplateID); ok {
			f.TemplateID, f.Text = c.ID, cut(c.Text, feedbackTextMax)
			known = true
			break
		}
		known = known || slices.ContainsFunc(m.told.rows, func(t Told) bool { return t.TemplateID == f.TemplateID })
	}
	if !known && len(e.book.by[f.TemplateID]) == 0 {
		return fmt.Errorf("%w: %016x", ErrUnknownTemplate, f.TemplateID)
	}
	return nil
}

// toldAbout returns the findings remembered that a word may be about, one of each subject.
func (e *Engine) toldAbout(f *Feedback) (known []Told) {
	for el := e.recent.Front(); el != nil; el = el.Next() {
		m := el.Value.(*model)
		if f.Stream != "" && f.Stream != m.stream {
			continue
		}
		for _, t := range m.told.rows {
			if t.TemplateID != f.TemplateID || f.Reason != ReasonNone && f.Reason != t.Reason ||
				f.Slot != 0 && f.Slot != t.Slot || f.Value != "" && f.Value != t.Value {
				continue
			}
			if i := slices.IndexFunc(known, func(k Told) bool {
				return k.Reason == t.Reason && k.Slot == t.Slot && (k.Value == t.Value || t.numeric)
			}); i >= 0 {
				known[i].Level = max(known[i].Level, t.Level)
				continue
			}
			known = append(known, t)
		}
	}
	return known
}

// narrow is the word, on one finding.
func (f *Feedback) narrow(t *Told) Feedback {
	n := *f
	n.Reason, n.Slot, n.Value, n.Level = t.Reason, t.Slot, t.Value, t.Level
	if t.numeric {
		n.Value = "" // its level says all
	}
	return n
}

// wide is a word on no finding that is remembered.
func (e *Engine) wide(f Feedback) (Feedback, error) {
	if f.Reason == ReasonNone && f.Opinion == Anomalous && f.Slot == 0 && f.Value == "" {
		f.Reason = ReasonNovelty // the line itself
	}
	switch f.Reason {
	case ReasonNone:
		return f, fmt.Errorf("%w: no finding about template %016x is remembered; give the reason that it had", ErrUnclear, f.TemplateID)
	case ReasonParameter:
		if f.Slot == 0 || f.Value == "" && f.Level == 0 {
			return f, fmt.Errorf("%w: a parameter finding is about one value of one variable; give both", ErrUnclear)
		}
	case ReasonAccess:
		if f.Value == "" {
			return f, fmt.Errorf("%w: an access finding is about one text in the request; give it as the value", ErrUnclear)
		}
	case ReasonFrequency:
		if f.Level == 0 && f.Value == "" {
			f.Level = e.peak(&f)
		}
	}
	return f, nil
}

// peak is the highest count in a minute that a model remembers of the template.
func (e *Engine) peak(f *Feedback) (most float64) {
	for el := e.recent.Front(); el != nil; el = el.Next() {
		m := el.Value.(*model)
		for i := range m.names {
			if m.names[i].id == f.TemplateID && (f.Stream == "" || f.Stream == m.stream) {
				_, _, peak := m.templates[i].Rate.Count()
				most = max(most, peak)
			}
		}
	}
	return most
}

// forgetting returns the words that take back all that were said of what f is about.
func (e *Engine) forgetting(f *Feedback) (words []Feedback) {
	for _, w := range e.book.by[f.TemplateID] {
		if f.Reason != ReasonNone && f.Reason != w.Reason || f.Slot != 0 && f.Slot != w.Slot ||
			f.Value != "" && f.Value != w.Value || f.Stream != "" && f.Stream != w.Stream {
			continue
		}
		w.Opinion, w.At = Forgotten, f.At
		words = append(words, w)
	}
	return words
}

// sync passes the words through c.
func (b *book) sync(c *sketch.Codec) {
	words := b.list()
	sketch.List(c, &words, feedbackMax, func(c *sketch.Codec, f *Feedback) {
		c.Str(&f.Stream, streamMax)
		c.U64(&f.TemplateID)
		c.Str(&f.Text, feedbackTextMax)
		reason, slot, opinion := uint8(f.Reason), uint8(f.Slot), uint8(f.Opinion)
		c.U8(&reason)
		c.U8(&slot)
		c.Str(&f.Value, valueMax)
		c.F64(&f.Level)
		c.U8(&opinion)
		c.I64(&f.At)
		f.Reason, f.Slot, f.Opinion = Reason(reason), int(slot), Opinion(opinion)
		if !c.Reading() || c.Err() != nil {
			return
		}
		if err := f.Check(); err != nil {
			c.Fail("feedback: %w", err)
			return
		}
		b.enter(*f)
	})
	if c.Reading() {
		b.index()
	}
}
