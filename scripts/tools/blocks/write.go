package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// Samples in a chunk, as Prometheus cuts them.
const perChunk = 120

type stats struct {
	Blocks  int    `json:"blocks"`
	Series  uint64 `json:"series"`
	Samples uint64 `json:"samples"`
}

// series is what one block has of a series, in the order of time.
type series struct {
	labels  labels.Labels
	chunks  []chunks.Meta
	samples uint64
}

// copy writes every block of the period that the copies cover.
func (o options) copy(ctx context.Context, sources []tsdb.BlockReader) (stats, error) {
	whole := period{sources[0].Meta().MinTime, sources[len(sources)-1].Meta().MaxTime}
	whole.from -= int64(o.days-1) * day.Milliseconds()
	whole.from, whole.to = whole.from+o.shift, whole.to+o.shift
	var written stats
	for from := whole.from - whole.from%o.duration; from < whole.to; from += o.duration {
		window := period{from, from + o.duration}.overlap(whole)
		found, err := o.read(ctx, sources, window)
		if err != nil {
			return written, err
		}
		if len(found) == 0 {
			continue
		}
		if err := o.write(ctx, window, found, &written); err != nil {
			return written, err
		}
	}
	return written, nil
}

// read returns the series of a window, sorted by their labels.
func (o options) read(ctx context.Context, sources []tsdb.BlockReader, window period) ([]series, error) {
	found := map[uint64]*series{}
	// Older days first: chunks must be in the order of time.
	for back := o.days - 1; back >= 0; back-- {
		shift := o.shift - int64(back)*day.Milliseconds()
		for _, source := range sources {
			meta := source.Meta()
			there := period{meta.MinTime + shift, meta.MaxTime + shift}.overlap(window)
			if o.days > 1 {
				// The source may be a bit longer than a day, and days must not overlap.
				end := sources[len(sources)-1].Meta().MaxTime + shift
				there = there.overlap(period{end - day.Milliseconds(), end})
			}
			for _, part := range without(there, o.gap) {
				if err := o.readPart(ctx, source, part, shift, found); err != nil {
					return nil, err
				}
			}
		}
	}
	result := make([]series, 0, len(found)*o.copies)
	for _, one := range found {
		for number := range o.copies {
			result = append(result, series{o.named(one.labels, number), one.chunks, one.samples})
		}
	}
	slices.SortFunc(result, func(a, b series) int { return labels.Compare(a.labels, b.labels) })
	return result, nil
}

func (o options) named(of labels.Labels, number int) labels.Labels {
	builder := labels.NewBuilder(of)
	for name, value := range o.labels {
		builder.Set(name, value)
	}
	if number > 0 {
		builder.Set(copyLabel, strconv.Itoa(number))
	}
	return builder.Labels()
}

// without returns what is left of a period.
func without(whole, gap period) []period {
	if gap.empty() {
		gap = period{whole.to, whole.to}
	}
	var left []period
	for _, part := range []period{whole.overlap(period{whole.from, gap.from}), whole.overlap(period{gap.to, whole.to})} {
		if !part.empty() {
			left = append(left, part)
		}
	}
	return left
}

// readPart adds the chunks of a part of the window, which a source has at another time.
func (o options) readPart(ctx context.Context, source tsdb.BlockReader, part period, shift int64, found map[uint64]*series) error {
	querier, err := tsdb.NewBlockChunkQuerier(source, part.from-shift, part.to-shift-1)
	if err != nil {
		return err
	}
	defer querier.Close()
	seen := map[uint64]bool{}
	for _, matchers := range o.selectors {
		set := querier.Select(ctx, false, nil, matchers...)
		for set.Next() {
			of := set.At().Labels()
			key := of.Hash()
			if seen[key] {
				continue
			}
			seen[key] = true
			one := found[key]
			if one == nil {
				one = &series{labels: of.Copy()}
			}
			if err := one.add(set.At(), shift); err != nil {
				return err
			}
			if len(one.chunks) > 0 {
				found[key] = one
			}
		}
		if err := set.Err(); err != nil {
			return err
		}
	}
	return nil
}

// add copies samples into chunks of its own: those of the source are only lent.
func (s *series) add(from storage.ChunkSeries, shift int64) error {
	var it chunkenc.Iterator
	var app chunkenc.Appender
	chunkIt := from.Iterator(nil)
	count := perChunk
	for chunkIt.Next() {
		it = chunkIt.At().Chunk.Iterator(it)
		for it.Next() == chunkenc.ValFloat {
			t, v := it.At()
			t += shift
			if count == perChunk {
				chunk := chunkenc.NewXORChunk()
				var err error
				if app, err = chunk.Appender(); err != nil {
					return err
				}
				s.chunks = append(s.chunks, chunks.Meta{Chunk: chunk, MinTime: t})
				count = 0
			}
			app.Append(0, t, v)
			s.chunks[len(s.chunks)-1].MaxTime = t
			s.samples++
			count++
		}
		if err := it.Err(); err != nil {
			return err
		}
	}
	return chunkIt.Err()
}

// write writes one block; what is broken off has no meta.json, so that no reader takes it for one.
func (o options) write(ctx context.Context, window period, found []series, written *stats) error {
	id := ulid.MustNew(ulid.Now(), rand.Reader)
	folder := filepath.Join(o.output, id.String())
	meta := tsdb.BlockMeta{
		ULID: id, MinTime: window.from, MaxTime: window.to, Version: 1,
		Compaction: tsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{id}},
	}
	chunkWriter, err := chunks.NewWriter(filepath.Join(folder, "chunks"))
	if err != nil {
		return err
	}
	indexWriter, err := index.NewWriter(ctx, filepath.Join(folder, "index"))
	if err != nil {
		return err
	}
	symbols := map[string]bool{"": true}
	for _, one := range found {
		one.labels.Range(func(l labels.Label) { symbols[l.Name], symbols[l.Value] = true, true })
	}
	for _, symbol := range slices.Sorted(maps.Keys(symbols)) {
		if err := indexWriter.AddSymbol(symbol); err != nil {
			return err
		}
	}
	for number, one := range found {
		// Each copy is written for itself, so that the index of each points at chunks of its own.
		own := slices.Clone(one.chunks)
		if err := chunkWriter.WriteChunks(own...); err != nil {
			return err
		}
		if err := indexWriter.AddSeries(storage.SeriesRef(number), one.labels, own...); err != nil {
			return err
		}
		meta.Stats.NumSeries++
		meta.Stats.NumChunks += uint64(len(own))
		meta.Stats.NumSamples += one.samples
	}
	if err := chunkWriter.Close(); err != nil {
		return err
	}
	if err := indexWriter.Close(); err != nil {
		return err
	}
	if _, err := tombstones.WriteFile(promslog.NewNopLogger(), folder, tombstones.NewMemTombstones()); err != nil {
		return err
	}
	text, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return err
	}
	written.Blocks++
	written.Series += meta.Stats.NumSeries
	written.Samples += meta.Stats.NumSamples
	return os.WriteFile(filepath.Join(folder, "meta.json"), text, 0o644)
}
