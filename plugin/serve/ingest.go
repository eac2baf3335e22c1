package serve

import (
	"net/http"
)

// ingest takes NDJSON: an object a line, or one array of them. What is no
// object is a record whose text it is: nothing is refused for its form.
func (s *Server) ingest(w http.ResponseWriter, r *request) error {
	p := s.relayed(r)
	p.Raw = s.rawFromLines(r.decoded)
	return s.pass(w, r, p, s.answer)
}

func (s *Server) rawFromLines(body []byte) func(now int64) ([]byte, bool, error) {
	return func(now int64) ([]byte, bool, error) {
		data, timeless, err := chunkFromJSON(body, now)
		if err != nil {
			return nil, false, err
		}
		raw, err := s.shaper.Push(data)
		return raw, timeless, err
	}
}
