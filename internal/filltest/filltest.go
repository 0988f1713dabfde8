// Package filltest fills values with data for tests.
package filltest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/opbeans/loadgen/histogram"
)

// Fill gives every field that v reaches a value other than zero, so that a test notices a
// field that was added and forgotten. special sets the fields, given as pointers, for which
// it returns true.
func Fill(r *rand.Rand, v reflect.Value, special func(field any) bool) {
	if special != nil && special(v.Addr().Interface()) {
		return
	}
	switch at := v.Addr().Interface().(type) {
	case *histogram.Histogram:
		for range 1 + r.IntN(200) {
			at.Record(time.Duration(r.Int64N(1 << (10 + r.IntN(50)))))
		}
		return
	case *time.Time:
		*at = time.Unix(r.Int64N(1<<33), r.Int64N(1e9)).UTC()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			Fill(r, v.Field(i), special)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(4), 4))
		for i := range v.Len() {
			Fill(r, v.Index(i), special)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			Fill(r, key, special)
			Fill(r, value, special)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \"<&\u2028", r.IntN(20)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(1e6))
	case reflect.Uint64:
		v.SetUint(1 + r.Uint64N(1<<60))
	case reflect.Float64:
		v.SetFloat(float64(1 + r.IntN(1e6))) // whole, so that sums are exact
	default:
		panic("a field of a kind that this test does not know: " + v.Type().String())
	}
}
