package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/logscope/logscope/plugin/pipeline"
)

const (
	// asksMax bounds the lines scored by hand, and feedback given, at once: scoring of the log waits for each.
	asksMax = 4
	// askBytesMax bounds a request. A line of lineMax fits, also where JSON escapes every byte of it.
	askBytesMax = 6*lineMax + 4096
)

// question is the body of POST /score.
type question struct {
	Stream string `json:"stream"`
	Line   string `json:"line"`
}

// answer is what POST /score gives.
type answer struct {
	Score       float64 `json:"score"`
	Anomaly     bool    `json:"anomaly"`
	Reason      string  `json:"reason,omitempty"`
	TemplateID  string  `json:"templateId,omitempty"`
	Template    string  `json:"template,omitempty"`
	Explanation string  `json:"explanation,omitempty"`
	Expected    string  `json:"expected,omitempty"`
	Observed    string  `json:"observed,omitempty"`
	Session     string  `json:"session,omitempty"`
}

// feedback is the body of POST /feedback.
type feedback struct {
	ID uint64 `json:"id"`
}

// serveScore is POST /score.
func (h *Hub) serveScore(w http.ResponseWriter, r *http.Request) {
	var q question
	if h.cfg.Score == nil {
		refuse(w, http.StatusNotImplemented, "lines cannot be scored by hand here")
		return
	}
	release, ok := h.ask(w, r, &q)
	if !ok {
		return
	}
	defer release()
	q.Line = strings.TrimRight(q.Line, "\r\n")
	switch {
	case q.Stream == "":
		refuse(w, http.StatusBadRequest, "say which service the line is from: \"stream\" is empty")
		return
	case q.Line == "":
		refuse(w, http.StatusBadRequest, "there is no line: \"line\" is empty")
		return
	case len(q.Line) > lineMax:
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the line has %d bytes; at most %d can be scored by hand", len(q.Line), lineMax))
		return
	}
	v, err := h.cfg.Score(r.Context(), q.Stream, []byte(q.Line))
	switch {
	case errors.Is(err, pipeline.ErrNoModel):
		refuse(w, http.StatusNotFound, fmt.Sprintf("nothing is known of %q yet: choose a service that has logged", cut(q.Stream, textMax)))
		return
	case errors.Is(err, pipeline.ErrNoScoring):
		refuse(w, http.StatusNotImplemented, err.Error())
		return
	case err != nil:
		h.cfg.Log.Error(fmt.Sprintf(msgAsk, "score a line by hand", err))
		refuse(w, http.StatusInternalServerError, "the line could not be scored; the log says why")
		return
	}
	a := answer{
		Score: v.Score, Anomaly: v.Anomaly, Reason: v.Reason.String(), TemplateID: templateID(v.TemplateID), Template: v.Template,
		Explanation: v.Explanation, Expected: v.Expected, Observed: v.Observed, Session: v.Session,
	}
	reply(w, http.StatusOK, &a)
}

// serveFeedback is POST /feedback. It names an anomaly by its number: what is taught is what was
// scored, whatever a browser made of it.
func (h *Hub) serveFeedback(w http.ResponseWriter, r *http.Request) {
	var f feedback
	if h.cfg.Feedback == nil {
		refuse(w, http.StatusNotImplemented, "feedback is not available here: anomalies cannot be marked as normal")
		return
	}
	release, ok := h.ask(w, r, &f)
	if !ok {
		return
	}
	defer release()
	a := h.find(f.ID)
	if a == nil {
		refuse(w, http.StatusGone, fmt.Sprintf("anomaly %d is no longer held: the last %d are", f.ID, recentMax))
		return
	}
	said, err := h.cfg.Feedback(r.Context(), a)
	switch {
	case errors.Is(err, ErrRefused):
		refuse(w, http.StatusConflict, err.Error())
		return
	case err != nil:
		h.cfg.Log.Error(fmt.Sprintf(msgAsk, "take feedback", err))
		refuse(w, http.StatusInternalServerError, "the feedback could not be taken; the log says why")
		return
	}
	reply(w, http.StatusOK, struct {
		Said string `json:"said"`
	}{said})
}

// ask reads the JSON body of a POST into body. ok: release must be called when the answer is given.
func (h *Hub) ask(w http.ResponseWriter, r *http.Request, body any) (release func(), ok bool) {
	// A form of another site can send text/plain, but not this without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "want Content-Type: application/json")
		return nil, false
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, askBytesMax))
	dec.DisallowUnknownFields()
	var tooLarge *http.MaxBytesError
	if err := dec.Decode(body); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", askBytesMax))
		return nil, false
	} else if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("cannot read the body as JSON: %v", err))
		return nil, false
	}
	select {
	case h.asks <- struct{}{}:
		return func() { <-h.asks }, true
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d are being answered: try again", asksMax))
		return nil, false
	}
}

// refuse answers with an error that the page can show.
func refuse(w http.ResponseWriter, status int, why string) {
	reply(w, status, struct {
		Error string `json:"error"`
	}{why})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the browser may be gone
}
