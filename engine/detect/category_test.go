package detect

import (
	"testing"

	"github.com/logscope/logscope/engine/sketch"
)

// TestCategoryRestored: a vocabulary with a value that came twice is not closed, before a restore or after.
func TestCategoryRestored(t *testing.T) {
	var k, restored Category
	for range 100 {
		k.Learn(1, []byte("usual"))
	}
	k.Learn(2, []byte("rare"))
	k.Learn(2, []byte("rare"))
	w := sketch.NewWriter(nil)
	k.Sync(w)
	r := sketch.NewReader(w.Bytes())
	if restored.Sync(r); r.Err() != nil {
		t.Fatal(r.Err())
	}
	if got, want := restored.class(), k.class(); got != want {
		t.Errorf("got class %v after a restore; want %v", got, want)
	}
	for range 2 {
		k.Learn(2, []byte("rare"))
		restored.Learn(2, []byte("rare"))
	}
	if got, want := restored.class(), k.class(); got != want || got == 0 {
		t.Errorf("got class %v once all values are usual; want %v", got, want)
	}
}
