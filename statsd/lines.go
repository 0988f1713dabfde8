package statsd

import (
	"strconv"
	"time"

	"github.com/peterbourgon/g2s"
)

// lines is the sink that g2s makes lines of. Rates are not g2s's own: it would
// choose at random what to write, and does not write the rate of a timing.
type lines struct {
	*packer
	statter g2s.Statter
}

func newLines(l *link, mtu int) (lines, error) {
	p := &packer{mtu: mtu, link: l}
	statter, err := g2s.New(p, "")
	return lines{p, statter}, err
}

func (l lines) timing(bucket string, took time.Duration, standsFor int) {
	l.standsFor = standsFor
	l.statter.Timing(1, bucket, took)
	l.standsFor = 1
}

func (l lines) count(bucket string, n int) { l.statter.Counter(1, bucket, n) }

func (l lines) gauge(bucket, value string) { l.statter.Gauge(1, bucket, value) }

// maxRate is room for "|@" and a rate.
const maxRate = 32

// packer is the writer under g2s: it packs lines into datagrams.
type packer struct {
	mtu       int
	link      *link
	standsFor int // what the rate of the line to come says
	packed    datagram
}

// datagram is lines with what is between them.
type datagram struct {
	bytes []byte
	lines int
}

// Write takes one line, as g2s makes it: without an end. It never fails, since g2s
// would log each failure; what is not sent is counted by the link.
func (p *packer) Write(line []byte) (int, error) {
	if len(line) == 0 { // g2s precedes what is too long for it with nothing
		return 0, nil
	}
	if len(line) > maxMTU-maxRate {
		p.link.dropped.Add(1)
		return len(line), nil
	}
	var room [maxRate]byte
	rate := room[:0]
	if p.standsFor > 1 {
		rate = strconv.AppendFloat(append(rate, "|@"...), 1/float64(p.standsFor), 'f', -1, 32)
	}
	if d := &p.packed; d.lines > 0 && len(d.bytes)+1+len(line)+len(rate) > p.mtu {
		p.flush()
	}
	d := &p.packed
	if d.lines > 0 {
		d.bytes = append(d.bytes, '\n')
	}
	d.bytes = append(append(d.bytes, line...), rate...)
	d.lines++
	return len(line), nil
}

// flush hands the lines packed so far to the link.
func (p *packer) flush() {
	if p.packed.lines > 0 {
		p.packed = p.link.push(p.packed)
	}
}

func (p *packer) full() bool { return p.link.full() }
