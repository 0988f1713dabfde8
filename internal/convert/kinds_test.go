package convert

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entry is an entry of a recording: its request and what else it has.
func entry(n int, method, url, rest string) string {
	return fmt.Sprintf(`{"startedDateTime":"2026-05-01T10:00:%02d.000Z","time":5,"request":{"method":%q,"url":%q,"headers":[]%s}}`, n, method, url, rest)
}

// made is the file that becomes of a recording.
func made(t *testing.T, o Options, entries ...string) string {
	t.Helper()
	s, err := HAR([]byte(`{"log":{"entries":[`+strings.Join(entries, ",")+`]}}`), o)
	require.NoError(t, err)
	text, _ := parses(t, s)
	return text
}

func response(status int, rest string) string {
	return fmt.Sprintf(`},"response":{"status":%d%s`, status, rest)
}

func TestARecordingMayHaveAByteOrderMark(t *testing.T) {
	src := `{"log":{"entries":[` + entry(0, "GET", "http://shop.test/é", "") + `]}}`
	var wide []byte
	for _, u := range utf16.Encode([]rune("\uFEFF" + src)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for _, raw := range [][]byte{[]byte("\uFEFF" + src), wide} {
		s, err := HAR(raw, Options{})
		require.NoError(t, err)
		text, _ := parses(t, s)
		assert.Contains(t, text, "GET /é")
	}
}

// The site is the one that most requests go to, in whatever spelling.
func TestTheSiteIsWhereMostRequestsGo(t *testing.T) {
	text := made(t, Options{},
		entry(0, "GET", "http://shop.test/", response(301, `,"redirectURL":"https://www.shop.test/"`)),
		entry(1, "GET", "https://www.shop.test/", response(200, "")),
		entry(2, "GET", "https://WWW.shop.test:443/a", ""),
		entry(3, "GET", "https://www.shop.test/b?x=%zz", ""),
		entry(4, "GET", "https://ads.test/x", ""))
	assert.Contains(t, text, "# The target was https://www.shop.test;")
	assert.Equal(t, 3, strings.Count(text, "request: GET /"))
	assert.Contains(t, text, "request: GET /b?x=%zz")
	assert.Contains(t, text, "left out (-hosts keeps them): http://shop.test, https://ads.test")
}

func TestBodiesOfARecordingAreKept(t *testing.T) {
	multi := `"multipart/form-data; boundary=XX","text":"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n7\r\n` +
		`--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.csv\"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n--XX--\r\n"`
	text := made(t, Options{},
		entry(0, "POST", "http://shop.test/up", `,"postData":{"mimeType":`+multi+`,"params":[]}`),
		entry(1, "POST", "http://shop.test/b64", `,"postData":{"mimeType":"text/plain","encoding":"base64","text":"aGVsbG8="}`),
		entry(2, "POST", "http://shop.test/bin", `,"postData":{"mimeType":"image/png","encoding":"base64","text":"iVBORw0KGgo="}`),
		entry(3, "POST", "http://shop.test/form", `,"postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"z","value":"1 2"},{"name":"a","value":"b"}]}`),
		entry(4, "POST", "http://shop.test/json", `,"postData":{"mimeType":"application/json","text":"{\"a\": 1}"}`),
		entry(5, "GET", "http://shop.test/query", `,"postData":{"mimeType":"application/json","text":"{\"q\":1}"}`))
	for _, want := range []string{
		"a: \"7\"", "filename: x.csv", "content_type: text/csv", "content: 1,2", "body: hello", "z: 1 2\n          a: b", `body: '{"a": 1}'`, "q: 1",
		"a body was left out that is not text",
	} {
		assert.Contains(t, text, want)
	}
}

func TestWhatARecordingDidNotSendIsNamed(t *testing.T) {
	text := made(t, Options{},
		entry(0, "GET", "http://shop.test/", ""),
		entry(1, "GET", "wss://shop.test/ws", ""), entry(2, "GET", "http://shop.test/ws", response(101, "")),
		entry(3, "GET", "data:text/plain,x", ""), entry(4, "GET", "blob:http://shop.test/1", ""),
		`{"_fromCache":"disk",`+entry(5, "GET", "http://shop.test/cached", "")[1:],
		entry(6, "GET", "http://shop.test/blocked", response(0, `,"_error":"net::ERR_BLOCKED_BY_CLIENT"`)),
		`{"_resourceType":"preflight",`+entry(7, "OPTIONS", "http://shop.test/api", "")[1:],
		entry(8, "BREW", "http://shop.test/pot", ""))
	assert.Equal(t, 1, strings.Count(text, "request:"))
	for _, want := range []string{"WebSocket", "data:", "blob:", "its cache", "net::ERR_BLOCKED_BY_CLIENT", "preflight", "BREW"} {
		assert.Contains(t, text, want)
	}
}

// api is the file that becomes of a description.
func api(t *testing.T, version, rest string) string {
	t.Helper()
	s, err := OpenAPI([]byte("openapi: "+version+"\ninfo: {title: x, version: '1'}\n"+rest), Options{All: true})
	require.NoError(t, err)
	text, _ := parses(t, s)
	return text
}

func TestTheNearestServerCounts(t *testing.T) {
	text := api(t, "3.0.3", `
servers: [{url: '{scheme}://api.test/{v}', variables: {scheme: {default: https}, v: {enum: [v2], default: ''}}}]
paths:
  /a: {get: {responses: {}}}
  /b: {servers: [{url: /other}], get: {responses: {}}, post: {servers: [{url: 'https://files.test:443/up/'}], responses: {}}}
  /c: {get: {servers: [{url: 'https://{x}.test'}], responses: {}}}
`)
	assert.Contains(t, text, "# The target was https://api.test;")
	for _, want := range []string{"request: GET /v2/a", "request: GET /other/b", "request: POST https://files.test/up/b", "https://{x}.test"} {
		assert.Contains(t, text, want)
	}
}

func TestRequiredParametersAreSentInTheirStyle(t *testing.T) {
	text := api(t, "3.0.3", `
paths:
  /r/{ids}/{m}/{l}:
    get:
      parameters:
        - {name: ids, in: path, required: true, schema: {type: array, items: {type: integer}, example: [1, 2]}}
        - {name: m, in: path, required: true, style: matrix, example: 5, schema: {type: integer}}
        - {name: l, in: path, required: true, style: label, example: x, schema: {type: string}}
        - {name: tenant, in: cookie, required: true, example: acme, schema: {type: string}}
        - {name: other, in: cookie, required: true, example: b, schema: {type: string}}
        - {name: User-Agent, in: header, required: true, example: App/1, schema: {type: string}}
        - {name: X-Ids, in: header, required: true, example: [1, 2], schema: {type: array, items: {type: integer}}}
        - {name: f, in: query, required: true, style: deepObject, example: {c: red, d: {e: [1, 2]}}, schema: {type: object}}
        - {name: o, in: query, required: true, example: {p: 1, q: 2}, schema: {type: object}}
        - {name: a, in: query, required: true, example: [1, 2], schema: {type: array, items: {type: integer}}}
        - {name: b, in: query, required: true, explode: false, example: [1, 2], schema: {type: array, items: {type: integer}}}
        - {name: w, in: query, required: true, content: {application/json: {example: {a: 1, b: "x y"}}}}
      responses: {default: {description: x}}
`)
	assert.Contains(t, text, "GET /r/1%2C2/;m=5/.x?f%5Bc%5D=red&f%5Bd%5D%5Be%5D=1&f%5Bd%5D%5Be%5D=2&p=1&q=2&")
	assert.Contains(t, text, "&p=1&q=2&a=1&a=2&b=1%2C2&w=%7B%22a%22:1%2C%22b%22:%22x%20y%22%7D")
	assert.Contains(t, text, "Cookie: tenant=acme; other=b")
	assert.Contains(t, text, "User-Agent: App/1")
	assert.Contains(t, text, "X-Ids: 1,2")
}

func TestSchemasOfVersion31(t *testing.T) {
	text := api(t, "3.1.0", `
paths:
  /pay:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                kind: {const: card}
                age: {type: integer, exclusiveMinimum: 17, exclusiveMaximum: 20}
                code: {type: string, examples: [AB1, CD2]}
                maybe: {type: ["null", integer], minimum: 5, maximum: 5}
                id: {type: integer, format: int64, minimum: 9007199254740993, maximum: 9223372036854775807}
                big: {type: integer, example: 12345678901234567891}
                step: {type: integer, minimum: 1, maximum: 100, multipleOf: 25}
                short: {type: string, maxLength: 3}
      responses: {"2XX": {description: x}, "404": {description: x}}
`)
	for _, want := range []string{
		"kind: card", "age: ${randint(18, 19)}", "code: AB1", "maybe: ${5}", "id: ${randint(9007199254740993, 9223372036854775807)}",
		"big: 12345678901234567891", "step: ${randint(1, 4) * 25}", "short: ${randint(100, 999)}",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "expect:", "2XX is the success")
}

func TestSwagger2IsConverted(t *testing.T) {
	s, err := OpenAPI([]byte(`
swagger: "2.0"
info: {title: old, version: "1"}
host: old.test
basePath: /v1
schemes: [https]
paths:
  /a/{id}:
    get:
      parameters: [{name: id, in: path, required: true, type: integer, minimum: 3, maximum: 4}]
      responses: {200: {description: x}}
    post:
      consumes: [application/json]
      parameters:
        - {name: id, in: path, required: true, type: integer}
        - {name: b, in: body, schema: {type: object, properties: {n: {type: string, example: x}}}}
      responses: {201: {description: x}}
`), Options{All: true})
	require.NoError(t, err)
	text, _ := parses(t, s)
	for _, want := range []string{"https://old.test", "GET /v1/a/${randint(3, 4)}", "n: x"} {
		assert.Contains(t, text, want)
	}
}

func TestShellVariablesAreVariablesOfTheFile(t *testing.T) {
	s, err := Curl(`ID=5
curl "http://api.test/users/$ID?q=$Q" -H "Authorization: Bearer $JWT" -d "{\"item\":\"$ITEM\"}" -H 'Content-Type: application/json'
curl "$API_URL/x" -u "$WHO:$HOW"
for n in 1 2; do curl "http://api.test/n/$n"; done`, Options{})
	require.NoError(t, err)
	text, _ := parses(t, s)
	for _, want := range []string{
		`ID: "5"`, "/users/${ID}?q=${Q}", "Bearer ${JWT}", "- JWT", "item: ${ITEM}", "user: ${WHO}", "password: ${HOW}", "- HOW", "request: GET /x",
		"$API_URL stands for the target", "the variable Q has no value", "the loop over n", "/n/${n}",
	} {
		assert.Contains(t, text, want)
	}
}

func TestProgramsThatRunCurl(t *testing.T) {
	s, err := Curl("timeout 5 curl http://x/a\nkubectl exec -it pod -- curl -s http://x/b\napt-get install curl\nX=$(date) Y=$(id -u) curl http://x/c", Options{})
	require.NoError(t, err)
	text, _ := parses(t, s)
	for _, want := range []string{"GET /a", "GET /b", "GET /c", "timeout 5", "kubectl exec", "apt-get install curl"} {
		assert.Contains(t, text, want)
	}
}

func TestWhatCurlWouldDoElseIsNamed(t *testing.T) {
	s, err := Curl(`curl -k -x http://p --digest -b jar.txt -H @h.txt -H 'Connection: close' http://x -d @../o.json | jq . || curl http://y`, Options{})
	require.NoError(t, err)
	text, _ := parses(t, s)
	for _, want := range []string{"-k, -x of curl", "--digest of curl", "jar.txt", "h.txt", "Connection", "../o.json has to be beside the scenario, as o.json", "jq .", "line breaks of"} {
		assert.Contains(t, text, want)
	}
	assert.Contains(t, text, "file: o.json")
}
