package jsonpath

import "testing"

func FuzzJSONPath(f *testing.F) {
	f.Add(`$.a.0["b c"][1]`, `{"a":[{"b c":[1,2]}]}`)
	f.Add(`$[`, `[`)
	f.Fuzz(func(t *testing.T, path, body string) {
		p, err := Parse(path)
		if err != nil {
			return
		}
		if doc, err := Decode([]byte(body)); err == nil {
			p.Find(doc)
		}
	})
}
