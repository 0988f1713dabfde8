package expr

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/jsonpath"
)

// A number of a response goes into the next request with the digits that it came with, and is a
// number like others where something is computed.
func TestNumbersOfJSONKeepTheirDigits(t *testing.T) {
	ev := testEvaluator(nil)
	ev.state.response.Body = []byte(`{"id": 18446744073709551557, "neg": -9223372036854775809, "price": 1.10, "exp": 1e3, "tiny": 0.1000000000000000055511151231257827,
		"huge": 1e999, "n": 7, "half": 0.5, "items": [{"id": 18446744073709551557, "price": 2.50}, {"id": 2, "price": 10.0}]}`)
	scope := &Scope{Place: InResponse, Vars: map[string]any{}, Captures: []string{"got"}}
	got, err := jsonpath.Decode([]byte("12345678901234567890.10"))
	require.NoError(t, err)
	ev.Set("got", got)
	for source, want := range map[string]string{
		`json("$.id")`:                                 "18446744073709551557",
		`json("$.neg")`:                                "-9223372036854775809",
		`json("$.price")`:                              "1.10",
		`json("$.exp")`:                                "1e3",
		`json("$.tiny")`:                               "0.1000000000000000055511151231257827",
		`json("$.huge")`:                               "1e999",
		`got`:                                          "12345678901234567890.10",
		`json("$").items[0]`:                           `{"id":18446744073709551557,"price":2.50}`,
		`{id: json("$.id"), n: [got]}`:                 `{"id":18446744073709551557,"n":[12345678901234567890.10]}`,
		`json("$.nothing") ?? json("$.id")`:            "18446744073709551557",
		`true ? json("$.id") : 0`:                      "18446744073709551557",
		`string(json("$.id")) + "!"`:                   "18446744073709551557!",
		`toJSON(json("$.items"))`:                      `[{"id":18446744073709551557,"price":2.50},{"id":2,"price":10.0}]`,
		`join([json("$.id"), got], "-")`:               "18446744073709551557-12345678901234567890.10",
		`filter(json("$.items"), .price > 2.4)[0].id`:  "18446744073709551557",
		`find(json("$.items"), .id == 2).price`:        "10.0",
		`map(json("$.items"), .price)`:                 `[2.50,10.0]`,
		`first(json("$.items")).price`:                 "2.50",
		`json("$.price") * 2`:                          "2.2",
		`-json("$.price")`:                             "-1.1",
		`json("$.exp") + json("$.n")`:                  "1007",
		`int(json("$.exp"))`:                           "1000",
		`sum(map(json("$.items"), .price))`:            "12.5",
		`max(json("$.price"), 1)`:                      "1.1",
		`json("$.price") > 1 && json("$.exp") <= 1000`: "true",
		`json("$.price") == 1.1`:                       "true",
		`1.10 == json("$.price")`:                      "true",
		`json("$.exp") == 1000`:                        "true",
		`json("$.exp") != 1000`:                        "false",
		`json("$.id") == json("$.items[0].id")`:        "true",
		`json("$.id") == json("$.items[1].id")`:        "false",
		`json("$.id") != json("$.neg")`:                "true",
		`json("$.huge") == json("$.huge")`:             "true",
		`json("$.n") == 7 && json("$.half") == 0.5`:    "true",
		`json("$.id") == "18446744073709551557"`:       "false",
		`json("$.nothing") == nil`:                     "true",
		`got == json("$.id")`:                          "false",
		`got in [1, 2]`:                                "false",
		`let x = json("$.price"); x + 1`:               "2.1",
		`json("$.items")[json("$.n") - 7].id`:          "18446744073709551557",
		`randint(json("$.n"), json("$.n"))`:            "7",
	} {
		e, fault := Compile(source, reflect.Invalid, scope)
		require.Nil(t, fault, "%s: %v", source, fault)
		v, err := ev.Eval(e)
		require.NoError(t, err, source)
		text, err := escape.AppendText(nil, v)
		require.NoError(t, err, source)
		assert.Equal(t, want, string(text), source)
		asJSON, err := escape.AppendJSON(nil, v)
		require.NoError(t, err, source)
		assert.True(t, json.Valid(asJSON), "%s: %s", source, asJSON)
	}
}
