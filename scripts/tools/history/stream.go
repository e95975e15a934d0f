package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// period is when the scrapes were: at start, then every step, both in milliseconds.
type period struct {
	start, step int64
	samples     int
}

func (p period) at(i int) int64 { return p.start + int64(i)*p.step }

// clock returns a moment as a person reads it.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05") }

// frame is one line of the stream; which keys are set says what it is.
type frame struct {
	Start   *int64            `json:"start"`
	Step    int64             `json:"step"`
	Samples int               `json:"samples"`
	Target  json.RawMessage   `json:"target"`
	Up      int               `json:"up"`
	Series  map[string]string `json:"series"`
}

// stream reads frames, each into the same memory.
type stream struct {
	period period
	in     *bufio.Reader
	count  int
	raw    []byte
	values []float64
}

func newStream(in *bufio.Reader) (*stream, error) {
	s := &stream{in: in}
	f, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("standard input is empty: it has to start with {\"start\": ms, \"step\": ms, \"samples\": n}")
	}
	if err != nil {
		return nil, err
	}
	if f.Start == nil || f.Step <= 0 || f.Samples <= 0 {
		return nil, errors.New("frame 1 is not {\"start\": ms, \"step\": ms, \"samples\": n} with both counts above zero")
	}
	s.period = period{*f.Start, f.Step, f.Samples}
	s.raw = make([]byte, 8*f.Samples)
	s.values = make([]float64, f.Samples)
	return s, nil
}

// each calls do with every frame after the first, and its values, which do must copy; nil: it has none.
func (s *stream) each(do func(f frame, values []float64) error) error {
	for {
		f, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var values []float64
		switch {
		case f.Target != nil && f.Series == nil && f.Start == nil && f.Samples == 0:
			if f.Up != 0 {
				values, err = s.read(f.Up)
			}
		case f.Series != nil && f.Target == nil && f.Start == nil && f.Up == 0:
			values, err = s.read(f.Samples)
		default:
			err = errors.New("neither a target nor a series")
		}
		if err == nil {
			err = do(f, values)
		}
		if err != nil {
			return fmt.Errorf("frame %d: %w", s.count, err)
		}
	}
}

func (s *stream) next() (frame, error) {
	line, err := s.in.ReadSlice('\n')
	if len(line) == 0 && errors.Is(err, io.EOF) {
		return frame{}, io.EOF
	}
	s.count++
	if err != nil && !errors.Is(err, io.EOF) {
		return frame{}, fmt.Errorf("frame %d: the line is longer than %d bytes: %w", s.count, s.in.Size(), err)
	}
	var f frame
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return frame{}, fmt.Errorf("frame %d: %.60q is no frame (does the one before say how many values follow it?): %w", s.count, line, err)
	}
	if rest := bytes.TrimSpace(line[decoder.InputOffset():]); len(rest) > 0 {
		return frame{}, fmt.Errorf("frame %d: %.60q follows the JSON", s.count, rest)
	}
	return f, nil
}

func (s *stream) read(count int) ([]float64, error) {
	if count != s.period.samples {
		return nil, fmt.Errorf("%d values for %d scrapes", count, s.period.samples)
	}
	if n, err := io.ReadFull(s.in, s.raw); err != nil {
		return nil, fmt.Errorf("standard input ends after %d of %d bytes of its values", n, len(s.raw))
	}
	for i := range s.values {
		s.values[i] = math.Float64frombits(binary.LittleEndian.Uint64(s.raw[8*i:]))
	}
	return s.values, nil
}
