package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/opbeans/loadgen"
)

// errNoRun is for an ID that no run has.
var errNoRun = fmt.Errorf("no such run: %w", fs.ErrNotExist)

// retention says which runs are kept.
type retention struct {
	runs int
	age  time.Duration
}

// kept is a run that is kept: what there is to know for dropping it.
type kept struct {
	id    string
	ended time.Time
}

// surplus returns those of the runs that are too many, or too old at a time.
func (r retention) surplus(runs []kept, now time.Time) []kept {
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b kept) int {
		return cmp.Or(b.ended.Compare(a.ended), cmp.Compare(b.id, a.id))
	})
	for i, run := range runs {
		if i >= r.runs || r.age > 0 && now.Sub(run.ended) > r.age {
			return runs[i:]
		}
	}
	return nil
}

// writeRuns adds runs that have ended, and drops others.
func (s *Store) writeRuns(tx *bbolt.Tx, ended []loadgen.RunRecord, drop []kept) error {
	runs, results := tx.Bucket([]byte(bucketRuns)), tx.Bucket([]byte(bucketResults))
	for i := range ended {
		if err := s.put(runs, []byte(ended[i].ID), &ended[i]); err != nil {
			return err
		}
		if err := s.put(results, []byte(ended[i].ID), compact(ended[i].Statistics)); err != nil {
			return err
		}
	}
	for _, run := range drop {
		if err := errors.Join(runs.Delete([]byte(run.id)), results.Delete([]byte(run.id))); err != nil {
			return err
		}
	}
	return nil
}

// Runs lists the runs that have ended and are kept, the newest first, without their
// statistics.
func (s *Store) Runs() ([]loadgen.RunRecord, error) {
	s.mu.Lock()
	all := s.unwritten()
	s.mu.Unlock()
	there := map[string]bool{}
	for i := range all {
		all[i].Statistics = nil
		there[all[i].ID] = true
	}
	err := s.guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(bucketRuns)).ForEach(func(id, data []byte) error {
				if there[string(id)] {
					return nil
				}
				var run loadgen.RunRecord
				if err := read(data, &run); err != nil {
					return err
				}
				all = append(all, run)
				return nil
			})
		})
	})
	newestFirst(all)
	return all, err
}

// unwritten are runs that are about to be written, or just being; s is locked.
func (s *Store) unwritten() []loadgen.RunRecord {
	return append(without(s.writing, s.ended...), s.ended...)
}

// Run returns a run that has ended with its statistics. The error is fs.ErrNotExist if
// none of that ID is kept.
func (s *Store) Run(id string) (loadgen.RunRecord, error) {
	s.mu.Lock()
	ended := s.unwritten()
	s.mu.Unlock()
	if i := slices.IndexFunc(ended, func(r loadgen.RunRecord) bool { return r.ID == id }); i >= 0 {
		return ended[i], nil
	}
	var run loadgen.RunRecord
	err := s.guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			data, result := tx.Bucket([]byte(bucketRuns)).Get([]byte(id)), tx.Bucket([]byte(bucketResults)).Get([]byte(id))
			if data == nil || result == nil {
				return errNoRun
			}
			var stats loadgen.SnapshotRecord
			if err := errors.Join(read(data, &run), read(result, &stats)); err != nil {
				return err
			}
			run.Statistics = &stats.Snapshot
			return nil
		})
	})
	return run, err
}

// without returns those of the runs that are not replaced by others.
func without(runs []loadgen.RunRecord, others ...loadgen.RunRecord) []loadgen.RunRecord {
	return slices.DeleteFunc(slices.Clone(runs), func(r loadgen.RunRecord) bool {
		return slices.ContainsFunc(others, func(o loadgen.RunRecord) bool { return o.ID == r.ID })
	})
}

func newestFirst(runs []loadgen.RunRecord) {
	slices.SortFunc(runs, func(a, b loadgen.RunRecord) int {
		return cmp.Or(b.Job.Status.Since.Compare(a.Job.Status.Since), cmp.Compare(b.ID, a.ID))
	})
}

// Memory keeps the runs that have ended without a file, for as long as the process
// lives. The zero value keeps none. It is safe for concurrent use.
type Memory struct {
	keep int
	mu   sync.Mutex
	runs []packed // the newest last
}

type packed struct {
	run   loadgen.RunRecord
	stats []byte
}

// NewMemory returns a Memory of this many runs.
func NewMemory(runs int) *Memory { return &Memory{keep: runs} }

// Ended is like [Store.Ended].
func (m *Memory) Ended(j *loadgen.Job) {
	run := loadgen.NewRunRecord(j.Record(), j.Snapshot())
	stats, err := newPacker().pack(compact(run.Statistics))
	if err != nil {
		return // no snapshot is such that it cannot be written
	}
	run.Statistics = nil
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.runs, func(p packed) bool { return p.run.ID == run.ID }); i >= 0 {
		m.runs[i] = packed{run, stats}
		return
	}
	m.runs = append(m.runs, packed{run, stats})
	m.runs = slices.Delete(m.runs, 0, max(0, len(m.runs)-m.keep))
}

// Runs is like [Store.Runs].
func (m *Memory) Runs() ([]loadgen.RunRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]loadgen.RunRecord, len(m.runs))
	for i := range m.runs {
		all[i] = m.runs[i].run
	}
	newestFirst(all)
	return all, nil
}

// Run is like [Store.Run].
func (m *Memory) Run(id string) (loadgen.RunRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.runs {
		if p.run.ID == id {
			var stats loadgen.SnapshotRecord
			err := read(p.stats, &stats)
			p.run.Statistics = &stats.Snapshot
			return p.run, err
		}
	}
	return loadgen.RunRecord{}, errNoRun
}
