package state

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opbeans/loadgen"
)

// The buckets of the file.
const (
	bucketMeta    = "meta"        // keyFormat, keyCounts
	bucketJobs    = "jobs"        // by name: jobValue
	bucketStats   = "statistics"  // by name: wholeValue
	bucketLog     = "checkpoints" // by number, big endian: []entryValue
	bucketRuns    = "runs"        // by ID: loadgen.RunRecord
	bucketResults = "results"     // by ID: loadgen.SnapshotRecord
)

// The keys of bucketMeta.
const (
	keyFormat = "format"
	keyCounts = "counts" // how many jobs and runs there are: bbolt would not notice that some are gone
)

func counts(jobs, runs int) []byte { return fmt.Appendf(nil, "%d jobs, %d runs", jobs, runs) }

func buckets() []string {
	return []string{bucketMeta, bucketJobs, bucketStats, bucketLog, bucketRuns, bucketResults}
}

// jobValue is a job.
type jobValue struct {
	Record loadgen.JobRecord `json:"record"`
	Held   json.RawMessage   `json:"held,omitempty"`
}

// wholeValue is the statistics of a run up to a checkpoint.
type wholeValue struct {
	Run   string                 `json:"run"`
	Seq   uint64                 `json:"seq"` // checkpoints above are still to be added
	Stats loadgen.SnapshotRecord `json:"stats"`
}

// entryValue is what one checkpoint adds to the statistics of one run.
type entryValue struct {
	Job      string                 `json:"job"`
	Run      string                 `json:"run"`
	Elapsed  int64                  `json:"elapsed_ns"`
	Position loadgen.JobPosition    `json:"position"`
	Delta    loadgen.SnapshotRecord `json:"delta"`
}

func compact(s *loadgen.Snapshot) loadgen.SnapshotRecord {
	return loadgen.SnapshotRecord{Snapshot: *s, Compact: true}
}

// maxValue bounds what a value of the file may take in memory.
const maxValue = 1 << 30

// packer makes bytes of values. It is not safe for concurrent use.
type packer struct{ zip *gzip.Writer }

func newPacker() *packer {
	zip, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // fails for levels that are none
	return &packer{zip}
}

// pack is a value as bytes: compressed, since most of statistics in JSON is the names
// of their fields, and with a checksum.
func (p *packer) pack(value any) ([]byte, error) {
	var out bytes.Buffer
	p.zip.Reset(&out)
	if err := json.NewEncoder(p.zip).Encode(value); err != nil {
		return nil, err
	}
	if err := p.zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack returns the JSON that pack has packed.
func unpack(data []byte) ([]byte, error) {
	var text bytes.Buffer
	if err := new(unpacker).unpack(&text, data); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// unpacker unpacks many values in the memory that one needs.
type unpacker struct {
	in  bytes.Reader
	zip gzip.Reader
}

func (u *unpacker) unpack(to io.Writer, data []byte) error {
	u.in.Reset(data)
	err := u.zip.Reset(&u.in)
	if err == nil {
		var n int64
		if n, err = io.Copy(to, io.LimitReader(&u.zip, maxValue+1)); n > maxValue {
			return fmt.Errorf("a value is longer than %d bytes", maxValue)
		}
	}
	if err != nil {
		return fmt.Errorf("a value is damaged: %w", err)
	}
	return nil
}

func read(data []byte, value any) error {
	text, err := unpack(data)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, value)
}
