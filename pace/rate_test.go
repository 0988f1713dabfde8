package pace

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"100":        {100, time.Second},
		"100/s":      {100, time.Second},
		" 6000/m ":   {6000, time.Minute},
		"1/d":        {1, 24 * time.Hour},
		"50000/d":    {50_000, 24 * time.Hour},
		"0.5":        {5, 10 * time.Second},
		"0.5/m":      {5, 10 * time.Minute},
		"1.50/s":     {15, 10 * time.Second},
		"2.0/h":      {2, time.Hour},
		".25":        {25, 100 * time.Second},
		"3/10s":      {3, 10 * time.Second},
		"1000000":    {1_000_000, time.Second},
		"0":          {},
		"0.000/h":    {},
		"0.001234/s": {1234, 1_000_000 * time.Second},
	} {
		got, err := ParseRate(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := ParseRate(got.String())
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again, "%s written as %s", text, got)
	}
}

func TestRateAsText(t *testing.T) {
	for want, r := range map[string]Rate{
		"0": {}, "15/s": {150, 10 * time.Second}, "1.5/s": {15, 10 * time.Second}, "0.05/m": {5, 100 * time.Minute}, "3/7s": {3, 7 * time.Second},
	} {
		assert.Equal(t, want, r.String())
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, text := range []string{
		"", "/s", "x", "-1", "1/", "1/0s", "1/-1s", "1/fortnight", "1e3", "NaN", "inf", "1.2.3", "1,5",
		"1000001/s", "0.0000000001", "99999999999999999999/s", "0.000000001/d", "1/2/3",
	} {
		_, err := ParseRate(text)
		assert.Error(t, err, text)
	}
}

func TestRateAsJSON(t *testing.T) {
	var got struct{ A, B, C Rate }
	require.NoError(t, json.Unmarshal([]byte(`{"A": 50, "B": "0.5/m", "C": 1.5}`), &got))
	assert.Equal(t, PerSecond(50), got.A)
	assert.Equal(t, Rate{5, 10 * time.Minute}, got.B)
	assert.Equal(t, Rate{15, 10 * time.Second}, got.C)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, `{"A":"50/s","B":"0.5/m","C":"1.5/s"}`, string(text))
	for _, bad := range []string{`{"A":true}`, `{"A":[]}`, `{"A":{}}`, `{"A":"x"}`, `{"A":-1}`, `{"A":1e99}`} {
		assert.Error(t, json.Unmarshal([]byte(bad), &got), bad)
	}
}

func TestRateDoesNotDriftOverAYear(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, r := range []Rate{{1, 24 * time.Hour}, {1, time.Second}, {3, time.Second}, {7, time.Minute}, {1_000_000, time.Second}} {
		n := uint64(float64(year) / float64(r.Per) * float64(r.Count)) // a whole number of periods
		at, ok := r.Pacer(0).Due(n)
		require.True(t, ok)
		assert.Equal(t, year, at, r.String())
	}
}

func TestRampReachesItsRate(t *testing.T) {
	p := PerSecond(100).Pacer(10 * time.Second)
	for n, want := range map[uint64]time.Duration{
		0: 0, 125: 5 * time.Second, 500: 10 * time.Second, 501: 10*time.Second + 10*time.Millisecond, 1500: 20 * time.Second,
	} {
		at, ok := p.Due(n)
		require.True(t, ok)
		assert.Equal(t, want, at, "iteration %d", n)
	}
}

// A schedule never goes back, and is exact: iteration n is the last one due at
// n·per/count, rounded down to the nanosecond.
func FuzzPacer(f *testing.F) {
	f.Add(uint64(100), int64(time.Second), int64(0), uint64(12345))
	f.Add(uint64(1), int64(24*time.Hour), int64(time.Hour), uint64(400))
	f.Add(uint64(1_000_000), int64(time.Second), int64(time.Minute), uint64(1)<<40)
	f.Add(uint64(7), int64(3), int64(5), uint64(math.MaxUint64-1))
	f.Add(uint64(0), int64(0), int64(0), uint64(0))
	f.Add(uint64(math.MaxUint64), int64(math.MaxInt64), int64(math.MaxInt64), uint64(math.MaxUint64-1))
	f.Fuzz(func(t *testing.T, count uint64, per, ramp int64, n uint64) {
		if ramp < 0 || n == math.MaxUint64 {
			return
		}
		p := Rate{Count: count, Per: time.Duration(per)}.Pacer(time.Duration(ramp))
		at, ok := p.Due(n)
		next, nextOK := p.Due(n + 1)
		if !ok {
			assert.False(t, nextOK, "a schedule that has ended stays ended")
			return
		}
		assert.GreaterOrEqual(t, at, time.Duration(0))
		if nextOK {
			assert.GreaterOrEqual(t, next, at)
		}
		if ramp == 0 {
			exact := new(big.Int).Mul(new(big.Int).SetUint64(n), big.NewInt(per))
			exact.Div(exact, new(big.Int).SetUint64(count))
			assert.Equal(t, exact.String(), fmt.Sprint(int64(at)))
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"100/s", "0.5/m", "1/10s", "1.000000001", "999999999999/d", "0", "-1", "1/9223372036854775807ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil {
			return
		}
		again, err := ParseRate(r.String())
		require.NoError(t, err, r.String())
		if !r.IsZero() {
			assert.InEpsilon(t, r.Hz(), again.Hz(), 1e-12, "%q as %q", s, r)
		}
	})
}
