package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opbeans/loadgen"
)

// The head of the JSON form. The version changes when a reader of the form before would
// take something for what it is not.
const (
	jsonFormat  = "loadgen-report"
	jsonVersion = 1
)

// maxJSON bounds what ReadJSON reads, far above what a report of all tasks and
// intervals has.
const maxJSON = 256 << 20

// reportJSON is the JSON form.
type reportJSON struct {
	Format    string                  `json:"format"`
	Version   int                     `json:"version"`
	Tool      string                  `json:"tool,omitempty"`
	Config    loadgen.JobConfig       `json:"config"`
	Snapshot  *loadgen.SnapshotRecord `json:"snapshot"`
	Every     float64                 `json:"interval_s"`
	Intervals []intervalJSON          `json:"intervals"`
	Traces    []loadgen.TraceExemplar `json:"traces,omitempty"`
	Agents    json.RawMessage         `json:"apm,omitempty"`
}

// intervalJSON has numbers for people and their tools, and a record with every counter
// for us.
type intervalJSON struct{ Interval }

func (i intervalJSON) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, c := range columns() {
		v := c.value(&i.Interval)
		if v == "" {
			v = "null"
		}
		fmt.Fprintf(&b, "%q:%s,", c.name, v)
	}
	record, err := json.Marshal(loadgen.SnapshotRecord{Compact: true, Snapshot: loadgen.Snapshot{
		VUs: i.VUs, Elapsed: i.Length(), LoadDuration: i.Offered, Valid: true,
		Lag: i.Lag, LateStarts: i.Starved, Dropped: i.Dropped, Totals: i.Totals,
	}})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, `"from_ns":%d,"record":%s}`, int64(i.From), record)
	return b.Bytes(), nil
}

func (i *intervalJSON) UnmarshalJSON(data []byte) error {
	var in struct {
		From   int64                   `json:"from_ns"`
		Record *loadgen.SnapshotRecord `json:"record"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if in.Record == nil {
		return errors.New("an interval has no record")
	}
	from, s := time.Duration(in.From), &in.Record.Snapshot
	if from < 0 || from+s.Elapsed < from {
		return errors.New("an interval has impossible times")
	}
	i.Interval = Interval{
		From: from, To: from + s.Elapsed, Offered: s.LoadDuration, VUs: s.VUs,
		Lag: s.Lag, Starved: s.LateStarts, Dropped: s.Dropped, Totals: s.Totals,
	}
	return nil
}

// WriteJSON writes the report such that [ReadJSON] gives it back without loss. The form
// is described by docs/report.schema.json of this module's repository.
func (r *Report) WriteJSON(w io.Writer) error {
	out := reportJSON{
		Format: jsonFormat, Version: jsonVersion, Tool: r.Tool,
		Config: r.Config, Snapshot: &loadgen.SnapshotRecord{Snapshot: *r.Snapshot},
		Every: r.Every.Seconds(), Intervals: make([]intervalJSON, len(r.Intervals)), Traces: r.Traces, Agents: r.Agents,
	}
	for i := range r.Intervals {
		out.Intervals[i] = intervalJSON{r.Intervals[i]}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// ReadJSON reads what WriteJSON has written, at most 256 MiB. The error says why it is
// no report that this program can read.
func ReadJSON(r io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxJSON:
		return nil, fmt.Errorf("report: larger than %d bytes", maxJSON)
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("report: not JSON: %w", err)
	}
	switch {
	case head.Format != jsonFormat:
		return nil, errors.New(`report: not a report of loadgen: it has no "format":"` + jsonFormat + `"`)
	case head.Version != jsonVersion:
		return nil, fmt.Errorf("report: has version %d, and this program reads version %d", head.Version, jsonVersion)
	}
	var in reportJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("report: cannot be read: %w", err)
	}
	if in.Snapshot == nil {
		return nil, errors.New("report: has no snapshot")
	}
	rep := &Report{
		Tool: in.Tool, Config: in.Config, Snapshot: &in.Snapshot.Snapshot,
		Every: time.Duration(in.Every * float64(time.Second)), Traces: in.Traces, Agents: in.Agents,
	}
	for _, i := range in.Intervals {
		rep.Intervals = append(rep.Intervals, i.Interval)
	}
	return rep, nil
}
