package deploy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"encoding/pem"
)

// certificate is one in PEM.
func certificate(t testing.TB) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
