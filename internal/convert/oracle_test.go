package convert

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// tools skips a test where a program is missing, but not in CI.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", name)
			}
			t.Skipf("%s is missing", name)
		}
	}
}

// recorder is a server that writes down what it gets.
type recorder struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

var boundary = regexp.MustCompile(`boundary="?([^";]+)"?`)

func record(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		host := req.Host
		if "http://"+host == r.URL {
			host = "HOST"
		}
		if m := boundary.FindStringSubmatch(req.Header.Get("Content-Type")); m != nil {
			req.Header.Set("Content-Type", strings.Replace(req.Header.Get("Content-Type"), m[0], "boundary=B", 1))
			body = bytes.ReplaceAll(body, []byte(m[1]), []byte("B"))
		}
		lines := []string{fmt.Sprintf("%s %s %s", req.Method, host, req.RequestURI)}
		for name, values := range req.Header {
			for _, v := range values {
				// What the two programs are called, and what they offer to decode, is theirs.
				if name == "User-Agent" && (strings.HasPrefix(v, "curl/") || v == "loadgen") || name == "Accept-Encoding" && strings.Contains(v, "deflate") || name == "Content-Length" ||
					name == "Expect" { // which depends on the version of curl
					continue
				}
				lines = append(lines, name+": "+v)
			}
		}
		slices.Sort(lines[1:])
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, strings.Join(lines, "\n")+"\n\n"+string(body))
		if req.URL.Path == "/moved" {
			w.Header().Set("Location", "/there")
			w.WriteHeader(http.StatusFound)
		}
	}))
	r.Start()
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// play runs each task of a scenario once.
func play(t *testing.T, s *loadgen.Scenario, base string, env map[string]string) {
	t.Helper()
	for _, name := range s.TaskNames() {
		weights := map[string]float64{}
		for _, other := range s.TaskNames() {
			weights[other] = 0
		}
		weights[name] = 1
		snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{Scenario: s, BaseURL: base, MaxIterations: 1, Weights: weights},
			loadgen.WithEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok }))
		require.NoError(t, err)
		assert.Zero(t, snap.FailedIterations, "%s: %v", name, snap.Errors)
	}
}

// curlCommands are of the kinds that documentation and browsers have. HOST is the server.
func curlCommands() []string {
	return []string{
		`curl HOST/a?b=c\&d`,
		`curl --data-binary '' HOST/empty`, `curl -d '' -X PUT HOST/empty`, `curl -X DELETE -d '' HOST/empty`,
		`curl -d 'a=b c&d' HOST/raw`, `curl -d 'a=1&b=2' -d c=%7e HOST/form`, `curl -d '{"a": 1}' HOST/json`, `curl -d @- HOST/x <<<'plain'`,
		`curl -d '{"a": [1, 2.50, 12345678901234567890], "b":"é"}' -H 'Content-Type: application/json' HOST/json`,
		`curl -d '{"a":[1,2.50],"b":null,"c":{}}' -H 'content-type: application/json; charset=utf-8' HOST/json`,
		`curl --json '{"a":1}' HOST/j`, `curl --json '{"a":' --json '1}' -H 'Accept: text/x' HOST/j`,
		`curl --data-urlencode 'a=b c/é&~*' --data-urlencode '=x y' --data-urlencode 'x y' HOST/enc`, `curl -G --data-urlencode 'a=b c' -d d=e 'HOST/q?x=1'`,
		`curl -d a=1 -d b=2 -d a=3 HOST/order`, `curl -d 'a=%zz&b' HOST/odd`,
		`curl -F 'meta={"a":1};type=application/json' -F 'note="x; y"' HOST/up`, `curl -F a=1 -F b=2 -F a=3 HOST/up`, `curl -F a=1 -F a=2 HOST/up`,
		`curl -F 'a=b;filename=x.html' -F 'c=d;filename="q \"r\".bin";type=text/csv' HOST/up`, `curl -F 'a=b;type=text/plain;charset=utf-8;headers="X-One: 1"' HOST/up`,
		`curl --form-string 'a=@b;type=x' -F 'q"r=1' HOST/up`, `curl -F a=b -H 'X-A: b' HOST/up`,
		`curl -H 'X-A: 1' -H 'X-A: 2' -H 'X-B;' -H 'Accept:' -H 'X-C:' HOST/h`, `curl -H 'User-Agent:' -H 'Accept: */*' HOST/h`,
		`curl -A App/1.0 -e http://ref.test/ -H 'Host: tenant.test' -H 'X-Requested-With: XMLHttpRequest' -H 'Accept-Language: de' -H 'Cache-Control: no-cache' HOST/h`,
		`curl -H 'Content-Type:' -d a=b HOST/h`, `curl -H 'Content-Type: text/plain' --data-raw '@x' HOST/h`, `curl -A '' HOST/h`,
		`curl -b a=1 -b 'b=2; c=3' HOST/c`, `curl -b a=1 -H 'Cookie: x=y' HOST/c`,
		`curl -u 'me:p w' HOST/u`, `curl --oauth2-bearer t0k HOST/u`, `curl -u a:b -H 'Authorization: Basic eDp5' HOST/u`,
		`curl -I HOST/head`, `curl -X OPTIONS HOST/o`, `curl -X get HOST/low -X GET`, `curl -r 0-9 HOST/range`,
		`curl -T up.txt HOST/put/`, `curl -T up.txt HOST/put/as -H 'Content-Type: text/x'`, `curl --data-binary @up.txt HOST/file`, `curl -F 'f=@up.txt' -F 'g=@up.bin;type=text/x' HOST/up`,
		`curl -F 'f=@up.txt;filename=other.png' HOST/up`, `curl --json @up.json HOST/j`,
		`curl HOST/one -d a=1 --next HOST/two -H 'X-Two: 2'`, `curl HOST/one HOST/two -H 'X: 1'`, `curl "HOST/{a,b}/[1-2]"`, `curl -g "HOST/x?a=(b)"`,
		`curl HOST/a/./b/../c`, `curl HOST?x=1`, `curl HOST/a#b`, `curl --path-as-is HOST/a/../b`, `curl --url-query 'a=b c' --url-query +d=e%20 HOST/q?x`,
		`curl HOST/moved`, `curl -L HOST/moved`, `curl -L -d a=b HOST/moved`,
		`curl -s HOST/a 2>/dev/null | cat`, `curl -s HOST/a; curl -s HOST/b && curl -s HOST/c || curl HOST/d`, `curl -s HOST/a >/dev/null 2>&1 & curl -s HOST/b; wait`,
		"for i in 1; do\n  curl HOST/l/$i -d \"id=$i\"\ndone", "if curl -s HOST/if; then curl HOST/then; fi", "(curl HOST/sub)", "ID=5; curl \"HOST/v/$ID?x=${ID}\" -H \"X-Id: $ID\"",
		"curl HOST/here -H 'Content-Type: text/plain' --data-binary @- <<EOF\nline 1\nline 2\nEOF\n", "echo '{\"a\":1}' | curl -d @- HOST/pipe -H 'Content-Type: application/json'",
		"BASE=HOST\ncurl \"$BASE/x\" \\\n  -H 'A: b' # c\n", `curl $'HOST/\x61' -d $'it\'s'`, "N='a b'; curl HOST/w -d \"n=$N\" -H 'Content-Type: text/plain'",
		"J=x; curl HOST/j -H 'Content-Type: application/json' -d \"{\\\"item\\\":\\\"$J\\\"}\"", `curl -sSLXPOST HOST/x -da=b`, `curl -s -- HOST/x`, `curl --compressed HOST/z`, "U=me P=pw; curl -u \"$U:$P\" HOST/u",
		`curl -H "Authorization: Bearer $TOKEN" HOST/t`, `curl "HOST/t?access_token=$TOKEN&x=1"`, `curl -H 'If-None-Match: "x"' -H 'Origin: http://o.test' -H 'Sec-Fetch-Mode: cors' HOST/h`,
	}
}

// oddCommands are of the same kinds at their edges.
func oddCommands() []string {
	return []string{
		`curl -d 'a=1' -G -d b=2 HOST/g`, `curl -X POST HOST/p`, `curl -X POST -H 'Content-Length: 0' HOST/p`, `curl -X PUT HOST/p -d '{"a":1}' -H "Content-type:application/json"`,
		`curl -H 'Content-Type: application/json' -d '{"a":"\u00e9\/","b":"<&>"}' HOST/j`, `curl -H 'Content-Type: application/json' -d '{"a":1,"a":2}' HOST/j`,
		`curl -H 'Content-Type: application/json' -d '[]' HOST/j`, `curl -H 'Content-Type: application/json' -d '"x"' HOST/j`, `curl -H 'Content-Type: application/json' -d '5' HOST/j`,
		`curl -H 'Content-Type: application/json' -d '{"a":1e5,"b":-0,"c":1.0,"d":"1e5","e":"no","f":"~","g":"01","h":""}' HOST/j`,
		`curl -H 'Content-Type: application/json' -d '{"a b":{"c":[[],{}]},"":1}' HOST/j`, `curl -H 'Content-Type: application/json' -d '{"a":"${x} $y"}' HOST/j`,
		`curl -d 'a=${x}' HOST/d`, `curl -d '=x' HOST/d`, `curl -d '&&' HOST/d`, `curl -d 'a' HOST/d`, `curl -d 'a=' HOST/d`, `curl -d 'a=1;b=2' HOST/d`,
		`curl -d 'a=x%20y' HOST/d`, `curl -d 'a=x+y' HOST/d`, `curl -d 'a[]=1&a[]=2' HOST/d`, `curl -d 'é=ü' HOST/d`, `curl --data-raw $'a\r\nb' HOST/d`, `curl --data-binary $'a\n\n' HOST/d`, `curl -d $'a\tb' HOST/d -H 'Content-Type: text/plain'`,
		`curl -d ' ' HOST/d`, `curl --data-raw ' lead' HOST/d -H 'Content-Type: text/plain'`, `curl --data-raw '# no' HOST/d -H 'Content-Type: text/plain'`, `curl --data-raw 'trail ' HOST/d -H 'Content-Type: text/plain'`,
		`curl 'HOST/a%20b/%c3%a9?x=%26&y=a+b'`, `curl 'HOST/a;b=c/d,e/@f/$g'`, `curl 'HOST/?'`, `curl 'HOST/?a=1?b=2'`, `curl 'HOST//a//b'`, `curl 'HOST/a/..'`, `curl 'HOST/../../x'`,
		`curl 'HOST/x?a='"'"'b'"'"''`, `curl -g 'HOST/x?a[b]=c&d[]=e'`, `curl 'HOST/x?a=1#f?g'`,
		`curl -H 'Authorization: Token abc' HOST/h`, `curl -H 'Authorization: abc' HOST/h`, `curl -H 'authorization: Bearer a b c' HOST/h`, `curl -H 'X-Api-Key: k' HOST/h`, `curl -H 'X-Tab: a	b' HOST/h`, `curl -H 'X-V: é' HOST/h`, `curl -H 'X-V: ${a}' HOST/h`, `curl -H 'X-Space:    a   ' HOST/h`,
		`curl -H 'Accept: a' -H 'Accept: b' HOST/h`, `curl -H 'Expect:' -d a HOST/h`, `curl -H 'Referer: x' -H 'Origin: null' HOST/h`, `curl -H 'Range: bytes=0-1' HOST/h`,
		`curl -H 'Cookie: a="b c"; d={"e":1}' HOST/c`, `curl -b 'a=b=c' HOST/c`, `curl -b '' HOST/c`,
		`curl -u me: HOST/u`, `curl -u ':pw' HOST/u`, `curl -u 'a:b:c' HOST/u`, `curl -u 'é:ü' HOST/u`, `curl --basic -u a:b HOST/u`,
		`curl -F 'a=' HOST/up`, `curl -F 'a=b c;d' HOST/up`, `curl -F 'é=ü' HOST/up`, `curl -F 'a= b' HOST/up`, `curl -F 'a="b"' HOST/up`, `curl -F 'a=b"c"' HOST/up`, `curl -F 'a=${x}' HOST/up`, `curl -F 'a=b;type=text/plain;filename=c' HOST/up`, `curl -F 'f=@up.txt;type=text/csv;filename=' HOST/up`,
		`curl -F 'f=@up.txt' -F 'f=@up.json' HOST/up`, `curl -F 'a=1' -F 'f=@up.bin' -F 'a=2' -H 'Content-Type: multipart/form-data' HOST/up`, `curl -F 'a=b' -X PUT HOST/up`, `curl --form-string 'a="b";type=x' HOST/up`, `curl -F $'a=l1\nl2' HOST/up`, `curl -F 'a=<up.json;type=application/json;filename=x' HOST/up`,
		`curl -T up.bin HOST/t -X POST`, `curl -T up.txt -u a:b HOST/t`, `curl --data-binary @up.bin -H 'Content-Type: application/octet-stream' HOST/t`, `curl --data-binary @- HOST/t < up.json`,
		`curl -I -L HOST/moved`, `curl -X DELETE HOST/x -L`, `curl -X HEAD -I HOST/x`, `curl -i -X TRACE HOST/x`, `curl --get HOST/x -d a -d b`,
		`curl HOST/a -o /dev/null -w '%{http_code}' --connect-timeout 2 --max-time 5 --retry 2`, `curl -v -k --http1.1 HOST/a`, `curl -#fsS HOST/a`, `curl -XPOST -dx=1 -H'A:b' HOST/a`,
		"curl HOST/a \\\n  -H 'A: b' \\\n  -H 'C: d'\n\n# more\ncurl HOST/b", "A=1 B='x y'\nfor x in $A; do curl \"HOST/$x\" -H \"B: $B\"; done", "f() {\n  curl HOST/f\n}\nf", "curl HOST/a && echo ok || echo no", "{ curl HOST/a; curl HOST/b; } > out.txt", "[ -n x ] && curl HOST/a", "test -n x && curl HOST/a; [[ a == a ]] && curl HOST/b",
		"curl \"HOST/a\"'/b'\\/c", "curl HOST/a{b,c}", "curl HOST/[a-c]", "curl HOST/{x,y} -d a=1", "printf '%s' '{\"a\":1}' | curl -d @- HOST/p", "printf 'a=b' | curl --data-binary @- HOST/p",
		"X=$(echo hi); curl HOST/x", "curl HOST/x -H \"A: ${NOPE:-dflt}\"", "curl -s HOST/x | while read l; do echo $l; done", "case a in a) curl HOST/case;; esac", "while read u; do curl HOST/w/1; break; done < up.txt",
	}
}

// What curl sends and what the converted scenario sends are the same, byte for byte, but
// for the order of headers and the boundaries of parts.
func TestTheScenarioSendsWhatCurlSends(t *testing.T) {
	tools(t, "curl", "bash")
	folder := t.TempDir()
	for name, content := range map[string]string{"up.txt": "one\ntwo\n", "up.bin": "\x00\xff", "up.json": `{"a": "b"}`} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644))
	}
	server := record(t)
	url := false
	if out, err := exec.CommandContext(t.Context(), "curl", "--help", "all").Output(); err == nil {
		url = strings.Contains(string(out), "--url-query")
	}
	for _, command := range slices.Concat(curlCommands(), oddCommands()) {
		if strings.Contains(command, "--url-query") && !url {
			continue // curl is older than 7.87
		}
		command = strings.ReplaceAll(command, "HOST", server.URL)
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "curl() { command curl -q --noproxy '*' --max-time 10 -s \"$@\"; }\n"+command)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "TOKEN=t0k3n")
		_ = cmd.Run() // the last command of a script may fail as it likes
		want := server.take()
		s, err := Curl(command, Options{Secrets: true})
		if !assert.NoError(t, err, command) {
			continue
		}
		text, err := s.YAML()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "made.yaml"), text, 0o644))
		made, err := loadgen.LoadScenario(os.DirFS(folder), "made.yaml")
		if !assert.NoError(t, err, "%s\n%s", command, text) {
			continue
		}
		play(t, made, server.URL, map[string]string{"TOKEN": "t0k3n"})
		got := server.take()
		slices.Sort(want) // what runs in the background may come later
		slices.Sort(got)
		assert.Equal(t, want, got, "%s\n%s", command, text)
	}
}
