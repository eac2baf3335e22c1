package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// sniffBytes are looked at to tell a log from a binary file: NUL does not
// occur in text, and in binaries early.
const sniffBytes = 8 << 10

// input is one thing to scan, named as on the command line.
type input struct {
	name string
	// found says that nobody named the file itself: it was found in a
	// directory, and may turn out to be no log.
	found bool
	stdin bool
}

// expand makes inputs of the command's arguments. Every argument must lead to
// something; all that do not are named.
func expand(args []string) ([]input, error) {
	var inputs []input
	var errs []error
	for _, arg := range args {
		more, err := expandOne(arg)
		inputs = append(inputs, more...)
		errs = append(errs, err)
	}
	return inputs, errors.Join(errs...)
}

func expandOne(arg string) ([]input, error) {
	if arg == "-" {
		return []input{{name: "-", stdin: true}}, nil
	}
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, "*?["):
		return expandGlob(arg)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot scan %q: no such file or directory", arg)
	case err != nil:
		return nil, fmt.Errorf("cannot scan %q: %w", arg, cause(err))
	case info.IsDir():
		return expandDir(arg)
	}
	return []input{{name: arg}}, nil
}

// expandGlob expands a pattern that no shell has expanded.
func expandGlob(pattern string) ([]input, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("cannot scan %q: malformed pattern", pattern)
	}
	var inputs []input
	for _, name := range names { // in order, as Glob says
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			inputs = append(inputs, input{name: name, found: true})
		}
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("cannot scan %q: no file matches", pattern)
	}
	return inputs, nil
}

// expandDir finds the files below a directory, in order of their paths. Hidden
// ones are left out; links to files are followed, as in /var/log/containers.
func expandDir(dir string) ([]input, error) {
	var inputs []input
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil:
			inputs = append(inputs, input{name: path, found: true}) // is told when it cannot be opened
			return nil
		case path != dir && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			inputs = append(inputs, input{name: path, found: true})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot scan %q: %w", dir, cause(err))
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("cannot scan %q: the directory has no files in it", dir)
	}
	slices.SortFunc(inputs, func(a, b input) int { return strings.Compare(a.name, b.name) })
	return inputs, nil
}

// cause drops the path from an error of the file system: the message has it already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// source is an opened input.
type source struct {
	io.Reader
	// live says that the input may pause, so that lines at hand are not held back for a full block.
	live  bool
	read  *counter // bytes read from the file, before decompression
	close func() error
}

// counter counts the bytes that pass.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// errBinary says that a file found in a directory is no log.
var errBinary = errors.New("it looks binary")

// open opens an input and unpacks it if it is compressed with gzip.
func open(in input, stdin io.Reader) (*source, error) {
	if in.stdin {
		return unpack(&source{read: &counter{from: stdin}, live: true, close: func() error { return nil }}, in)
	}
	file, err := os.Open(in.name)
	if err != nil {
		return nil, cause(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(cause(err), file.Close())
	}
	src, err := unpack(&source{read: &counter{from: file}, live: !info.Mode().IsRegular(), close: file.Close}, in)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return src, nil
}

// unpack looks at the first bytes. A live input is taken as it is: looking would wait.
func unpack(src *source, in input) (*source, error) {
	src.Reader = src.read
	if src.live {
		return src, nil
	}
	head, err := peek(src)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b, 0x08}) {
		unzip, err := gzip.NewReader(src.Reader)
		if err != nil {
			return nil, fmt.Errorf("damaged gzip: %w", err)
		}
		src.Reader = unzip
		if head, err = peek(src); err != nil {
			return nil, fmt.Errorf("damaged gzip: %w", err)
		}
	}
	if in.found && bytes.IndexByte(head, 0) >= 0 {
		return nil, errBinary
	}
	return src, nil
}

// peek reads the first bytes and puts them back.
func peek(src *source) ([]byte, error) {
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(src.Reader, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, cause(err)
	}
	src.Reader = io.MultiReader(bytes.NewReader(head[:n]), src.Reader)
	return head[:n], nil
}

// sizeOf is the size of all inputs in bytes, 0 if that of one is unknown.
func sizeOf(inputs []input) int64 {
	var total int64
	for _, in := range inputs {
		info, err := os.Stat(in.name)
		if in.stdin || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}
