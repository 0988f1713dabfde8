package histogram

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
)

// histogramForm is how a Histogram is written as JSON.
type histogramForm uint8

const (
	formReadable histogramForm = iota // percentiles
	formWhole                         // percentiles and every counter
	formCompact                       // every counter, as base64 text
)

// histogramView is the readable form; times are in milliseconds.
type histogramView struct {
	Count uint64   `json:"count"`
	Min   *float64 `json:"min_ms"`
	Mean  *float64 `json:"mean_ms"`
	P50   *float64 `json:"p50_ms"`
	P90   *float64 `json:"p90_ms"`
	P95   *float64 `json:"p95_ms"`
	P99   *float64 `json:"p99_ms"`
	P999  *float64 `json:"p999_ms"`
	Max   *float64 `json:"max_ms"`
	Error float64  `json:"relative_error"`
}

// histogramCounts is what the whole form has beside the readable one. Buckets are
// pairs of a counter's number and its count, in order; counter i holds the
// microseconds from
//
//	i                              for i < 256,
//	(128 + i%128) << (i/128 - 1)   above,
//
// up to where the next begins; the last one all that is longer. Sum is text, because
// many readers of JSON would round the number.
type histogramCounts struct {
	Sum     string      `json:"sum_ns"`
	MinNS   int64       `json:"min_ns"`
	MaxNS   int64       `json:"max_ns"`
	Buckets [][2]uint64 `json:"buckets"`
}

// MarshalJSON gives count, min, mean, max and the usual percentiles, the times in
// milliseconds, and the error bound of the percentiles. Without values the times
// are null: unknown, not zero. This is for people; the JSON of a [Histogram.Lossless]
// copy can be read back.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.form == formCompact {
		return json.Marshal(base64.StdEncoding.EncodeToString(h.appendCounts(nil)))
	}
	ms := func(d time.Duration) *float64 {
		if h.count == 0 {
			return nil
		}
		v := math.Round(float64(d)/1e3) / 1e3
		return &v
	}
	view := histogramView{
		h.count, ms(h.Min()), ms(h.Mean()), ms(h.P50()), ms(h.P90()), ms(h.P95()),
		ms(h.P99()), ms(h.P999()), ms(h.Max()), h.ErrorBound(),
	}
	if h.form == formReadable {
		return json.Marshal(view)
	}
	counts := histogramCounts{Sum: h.sum.big().String(), MinNS: h.min, MaxNS: h.max, Buckets: [][2]uint64{}}
	for i, n := range h.counters {
		counts.Buckets = append(counts.Buckets, [2]uint64{uint64(i), n})
	}
	return json.Marshal(struct {
		histogramView
		histogramCounts
	}{view, counts})
}

// Lossless returns a copy of h whose JSON also has every counter, so that
// [ParseHistogram] can read it back. The compact form is base64 text of about a third of
// the size, without percentiles.
func (h *Histogram) Lossless(compact bool) Histogram {
	c := *h
	c.form = formWhole
	if compact {
		c.form = formCompact
	}
	return c
}

// Parse reads the JSON of a [Histogram.Lossless] copy, in either form; null is
// an empty Histogram. Percentiles alone cannot be read back. Numbers that contradict each
// other are an error.
func Parse(data []byte) (Histogram, error) {
	var h Histogram
	switch data = bytes.TrimSpace(data); {
	case textkit.IsNull(data):
		return h, nil
	case len(data) > 0 && data[0] == '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return h, err
		}
		counts, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return h, errHistogram
		}
		err = h.readCounts(counts)
		return h, err
	}
	var in struct {
		Count uint64 `json:"count"`
		histogramCounts
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return h, fmt.Errorf("not a histogram: %w", err)
	}
	if in.Buckets == nil {
		return h, errors.New("the histogram has no buckets: these are percentiles for people, not a record to be read back")
	}
	sum, ok := parseUint128(in.Sum)
	if !ok {
		return h, errHistogram
	}
	next := Histogram{sum: sum, min: in.MinNS, max: in.MaxNS}
	last := -1
	for _, b := range in.Buckets {
		if b[0] > histLast || int(b[0]) <= last {
			return h, errHistogram
		}
		last = int(b[0])
		if !next.setCounter(last, b[1]) {
			return h, errHistogram
		}
	}
	if next.count != in.Count || !next.consistent() {
		return h, errHistogram
	}
	return next, nil
}

var errHistogram = errors.New("the numbers of the histogram contradict each other: the record is damaged")

// counters calls yield for every counter that counted something, from small to large.
func (h *Histogram) counters(yield func(i int, n uint64) bool) {
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		for i := range histSub {
			if n := page.at(i); n > 0 && !yield(p*histSub+i, n) {
				return
			}
		}
	}
}

// setCounter sets a counter that is zero. It refuses a count of zero, and one with
// which the histogram would count more than it can.
func (h *Histogram) setCounter(i int, n uint64) bool {
	sum, carry := bits.Add64(h.count, n, 0)
	if n == 0 || carry != 0 {
		return false
	}
	h.count = sum
	page := &h.pages[i>>histSubBits]
	if *page == nil {
		*page = new(histPage)
	}
	(*page).add(i&(histSub-1), n)
	return true
}

// consistent tells whether the sum and the bounds fit what was counted.
func (h *Histogram) consistent() bool {
	if h.count == 0 {
		return h.sum == uint128{} && h.min == 0 && h.max == 0
	}
	first, last := -1, -1
	for i := range h.counters {
		if last = i; first < 0 {
			first = i
		}
	}
	index := func(ns int64) int { return histIndex(uint64(ns) / uint64(histUnit)) }
	return h.min >= 0 && h.min <= h.max && index(h.min) == first && index(h.max) == last &&
		!h.sum.less(times(h.count, uint64(h.min))) && !times(h.count, uint64(h.max)).less(h.sum)
}

// appendCounts appends the compact form: least and largest value, the two words of the
// sum, then each counter as its distance from the one before and its count, all as
// varints. An empty histogram takes no room.
func (h *Histogram) appendCounts(b []byte) []byte {
	if h.count == 0 {
		return b
	}
	for _, v := range []uint64{uint64(h.min), uint64(h.max), h.sum.hi, h.sum.lo} {
		b = binary.AppendUvarint(b, v)
	}
	last := -1
	for i, n := range h.counters {
		b = binary.AppendUvarint(b, uint64(i-last))
		b = binary.AppendUvarint(b, n)
		last = i
	}
	return b
}

// readCounts reads the compact form.
func (h *Histogram) readCounts(b []byte) error {
	if len(b) == 0 {
		*h = Histogram{}
		return nil
	}
	bad := false
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	next := Histogram{min: int64(number()), max: int64(number()), sum: uint128{hi: number(), lo: number()}}
	for last := -1; len(b) > 0; {
		step, n := number(), number()
		if bad || step == 0 || step > histLast+1 || last+int(step) > histLast {
			return errHistogram
		}
		last += int(step)
		if !next.setCounter(last, n) {
			return errHistogram
		}
	}
	if bad || next.count == 0 || !next.consistent() {
		return errHistogram
	}
	*h = next
	return nil
}

// times is the product of two numbers.
func times(a, b uint64) uint128 {
	hi, lo := bits.Mul64(a, b)
	return uint128{hi: hi, lo: lo}
}

func (a uint128) less(b uint128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a uint128) big() *big.Int {
	n := new(big.Int).SetUint64(a.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(a.lo))
}

// parseUint128 reads a whole number in decimal digits.
func parseUint128(s string) (uint128, bool) {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || len(s) > 39 || n.Sign() < 0 || n.BitLen() > 128 || strings.Trim(s, "0123456789") != "" {
		return uint128{}, false
	}
	var words [16]byte
	n.FillBytes(words[:])
	return uint128{hi: binary.BigEndian.Uint64(words[:8]), lo: binary.BigEndian.Uint64(words[8:])}, true
}
