package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"
)

// set is one workload: raw lines in memory and the stream of each.
type set struct {
	name, about string
	lines       [][]byte
	streams     []string
	bytes       int
}

// systems are the loghub samples of the evaluation data, one stream each.
var systems = []string{"Apache", "BGL", "HDFS", "Hadoop", "Linux", "OpenSSH", "OpenStack", "Spark", "Thunderbird", "Windows"}

// newSet makes n lines of the samples: line i of every sample in turn, then
// line i+1, from the start again where a sample ends. Identifiers of later
// repetitions are new ones, see renew.
func newSet(name, about string, n int, samples []sample) *set {
	s := &set{name: name, about: about, lines: make([][]byte, 0, n), streams: make([]string, 0, n)}
	for i := 0; len(s.lines) < n; i++ {
		for k := range samples {
			if len(s.lines) == n {
				break
			}
			from := &samples[k]
			line := renew(from.lines[i%len(from.lines)], i/len(from.lines))
			s.lines = append(s.lines, line)
			s.streams = append(s.streams, from.stream)
			s.bytes += len(line)
		}
	}
	return s
}

// oneStream is the same lines as a single stream.
func (s *set) oneStream(name, about string) *set {
	one := &set{name: name, about: about, lines: s.lines, streams: make([]string, len(s.lines)), bytes: s.bytes}
	for i := range one.streams {
		one.streams[i] = "all"
	}
	return one
}

// text is line i for those who want a string. It shares the line's memory.
func (s *set) text(i int) string { return unsafe.String(unsafe.SliceData(s.lines[i]), len(s.lines[i])) }

// sample is lines of one stream.
type sample struct {
	stream string
	lines  [][]byte
}

// idDigits is the least length of a run of digits that is taken for an
// identifier: longer than any time, date or size of the samples.
const idDigits = 12

// renew returns the line as repetition n of its sample writes it: runs of 12
// and more digits are moved by n, so that a block or request id does not come
// back with each repetition, and its session does not either.
func renew(line []byte, n int) []byte {
	if n == 0 {
		return line
	}
	out := append(make([]byte, 0, len(line)), line...)
	for i := 0; i < len(out); {
		j := i
		for j < len(out) && out[j]-'0' < 10 {
			j++
		}
		if j-i >= idDigits {
			carry := n
			for k := j - 1; k > i && carry > 0; k-- {
				carry += int(out[k] - '0')
				out[k] = byte('0' + carry%10)
				carry /= 10
			}
		}
		i = max(j, i+1)
	}
	return out
}

// load makes the workloads of n lines each, from the evaluation kit in dir
// where it is given, else from this program's own generators.
func load(dir string, n int) ([]*set, error) {
	if dir == "" {
		return generated(n), nil
	}
	data := os.Getenv("LOGSCOPE_EVAL_DATA")
	if data == "" {
		data = filepath.Join(dir, "..", "data")
	}
	var samples []sample
	hdfs := -1
	for i, system := range systems {
		lines, err := readLines(filepath.Join(data, "loghub_2k", system+"_2k.log"))
		if err != nil {
			return nil, fmt.Errorf("cannot read the evaluation data (README.md says where they come from): %w", err)
		}
		if system == "HDFS" {
			hdfs = i
		}
		samples = append(samples, sample{system, lines})
	}
	mixed := newSet("mixed", "ten loghub samples, line by line in turn, a stream each", n, samples)
	sets := []*set{
		newSet("hdfs", "the loghub sample of HDFS, repeated", n, samples[hdfs:hdfs+1]),
		mixed,
		mixed.oneStream("mixed, one stream", "the same lines as one stream: one model, one tree"),
	}
	replayed, err := replay(dir, data)
	if err != nil {
		return nil, err
	}
	return append(sets, newSet("hdfs replay", "HDFS sessions replayed by replay.py, repeated", n, []sample{{"hdfs", replayed}})), nil
}

// replay has the kit make its HDFS log: real sessions, interleaved.
func replay(kit, data string) ([][]byte, error) {
	out, err := os.MkdirTemp("", "bench-drain-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	cmd := exec.Command("python3", filepath.Join(kit, "replay.py"), "hdfs", "--data", data, "--out", out)
	if told, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot replay HDFS sessions: %w\n%s", err, told)
	}
	return readLines(filepath.Join(out, "hdfs.log"))
}

func readLines(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines [][]byte
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if line = []byte(strings.TrimRight(string(line), "\r\n")); len(line) > 0 {
			lines = append(lines, line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s holds no lines", path)
	}
	return lines, nil
}
