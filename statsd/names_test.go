package statsd

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The expectations are what yarl, whose URLs Molotov names buckets by, makes of them.
func TestDecodePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                      "/",
		"":                       "",
		"/a+b":                   "/a+b",
		"/a%2Bb":                 "/a+b",
		"/a%2Fb":                 "/a/b",
		"/a%25b":                 "/a%b",
		"/a%2525b":               "/a%25b",
		"/a%20b":                 "/a b",
		"/%ff%C3%A9":             "/%FFé",
		"/%c3":                   "/%C3",
		"/%c3%a":                 "/%C3%a",
		"/a%zz":                  "/a%zz",
		"/%":                     "/%",
		"/%e2%82%ac%F0%9F%98%80": "/€😀",
		"/é":                     "/é",
		"/%C2\xb1":               "/±",
		"/\xb1":                  "/%B1",
	} {
		assert.Equal(t, want, decodePath(path), path)
	}
}

func FuzzDecodePath(f *testing.F) {
	f.Add("/caf%C3%A9/%ff%e2%82%ac%zz%")
	f.Add("%C2\xb1")
	f.Fuzz(func(t *testing.T, path string) {
		got := decodePath(path)
		if plain, err := url.PathUnescape(path); err == nil && utf8.ValidString(plain) {
			require.Equal(t, plain, got)
		}
		require.True(t, utf8.ValidString(got), "%q", got)
	})
}

// FuzzNames holds that whatever a request is called, its lines are lines of StatsD,
// and that labels of our own tree do not split.
func FuzzNames(f *testing.F) {
	f.Add("box.local", "GET", "opbeans:80", "/a:b|c@d%0A", "a.b", "c/d")
	f.Add("", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, host, method, authority, path, job, task string) {
		req := &request{job: job, scenario: path, task: task, method: method, host: authority, path: path}
		for _, form := range []Names{NamesMolotov, NamesMolotovIP, NamesLoadgen} {
			n := newNamer(form, host)
			name := n.bucket(req, "10.0.0.1")
			if form == NamesMolotovIP && !strings.Contains(method, ".") {
				require.Equal(t, 7, strings.Count(name, "."), "four labels between method and path: %q", name)
			}
			require.False(t, strings.ContainsFunc(name, func(r rune) bool {
				return r < ' ' || r == 0x7f || strings.ContainsRune(":|@", r)
			}), "%q", name)
			if form == NamesLoadgen {
				require.Equal(t, 4, strings.Count(name, "."), "%q", name)
				require.Equal(t, name, serverName(name), "a server keeps it as it is")
			}
			require.Equal(t, name, n.bucket(req, "10.0.0.1"))
		}
	})
}

// FuzzNest holds that a tree has every metric whose name is not the beginning of
// another's, and no other.
func FuzzNest(f *testing.F) {
	f.Add("a.b a.b.c a-b . .. a..b")
	f.Fuzz(func(t *testing.T, names string) {
		metrics := map[string]int{}
		for i, name := range strings.Fields(names) {
			metrics[name] = i
		}
		tree := nest(metrics)
		leaves := 0
		for name, n := range metrics {
			hidden := false
			for other := range metrics {
				hidden = hidden || strings.HasPrefix(other, name+".")
			}
			if hidden {
				require.IsType(t, Tree{}, tree.at(name))
				continue
			}
			require.Equal(t, n, tree.at(name), name)
			leaves++
		}
		require.Equal(t, leaves, countLeaves(tree))
	})
}

func countLeaves(t Tree) int {
	n := 0
	for _, node := range t {
		if inner, ok := node.(Tree); ok {
			n += countLeaves(inner)
		} else {
			n++
		}
	}
	return n
}

// The expectations are what the StatsD server's sanitizeKeyName makes of them.
func TestServerName(t *testing.T) {
	for bucket, want := range map[string]string{
		"molotov.box.GET.10.0.0.1./api/products/3.200": "molotov.box.GET.10.0.0.1.-api-products-3.200",
		"a b  c\t\nd":    "a_b_c_d",
		"café/%FF+ü;a=b": "caf-FF;a=b",
		"":               "",
	} {
		assert.Equal(t, want, serverName(bucket), bucket)
	}
}
