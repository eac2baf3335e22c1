// Package chunk reads Fluent Bit chunks: msgpack events as an output plugin
// receives them. It decodes over the chunk's own memory: every slice it
// returns aliases the chunk and is valid as long as the chunk is.
package chunk

// API (to be completed in this package, signatures are fixed):
//
//	type Reader struct{ ... }
//	func NewReader(data []byte) *Reader
//	func (r *Reader) Reset(data []byte)
//	// Next fills rec with the next record. io.EOF at the end; *Error (offset and cause) on truncated or corrupt input,
//	// after which Resync may find the next record. Group markers are consumed: they set rec.Group for what follows.
//	func (r *Reader) Next(rec *Record) error
//	// Resync skips damaged bytes up to the next plausible event and returns how many were skipped; false at the end.
//	func (r *Reader) Resync() (skipped int, ok bool)
//	func (r *Reader) Offset() int
//
//	type Record struct {
//		Time     int64      // Unix nanoseconds
//		Body     Value      // the record's map
//		Metadata Value      // map of the v2 header; Nil kind for v1
//		Group    *Group     // what the enclosing group says; nil outside. Shared by its records.
//	}
//	type Group struct { Metadata, Body Value }   // e.g. Body {resource:{attributes:{}}, scope:{...}}
//
//	// Value is one msgpack value, still encoded.
//	type Value struct { ... }
//	type Kind uint8   // Nil, Bool, Int, Uint, Float, Str, Bin, Array, Map, Ext
//	func (v Value) Kind() Kind
//	func (v Value) Raw() []byte
//	func (v Value) Bytes() []byte           // payload of Str, Bin, Ext; aliases
//	func (v Value) Bool() bool; Int() int64; Uint() uint64; Float() float64
//	func (v Value) Len() int                // elements of Array or pairs of Map
//	func (v Value) Pairs() PairIter         // for it := v.Pairs(); it.Next(); { it.Key, it.Value }
//	func (v Value) Elems() ElemIter
//	func (v Value) Get(key string) (Value, bool)
//	func (v Value) Lookup(path []string) (Value, bool)   // nested maps; no allocation
//	func (v Value) AppendText(dst []byte) []byte  // as Fluent Bit's loki prints a label value: strings bare, others as JSON
//	func (v Value) AppendJSON(dst []byte) []byte  // compact JSON; invalid UTF-8 replaced, NaN/Inf as null, binary as string, key order kept
//
//	// AppendRecord and friends write chunks (for tests, the host's chunk files, and tools).
//	type Writer struct{ Buf []byte }
//	...
