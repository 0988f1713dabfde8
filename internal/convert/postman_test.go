package convert

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// collection is the scenario of a collection with some items.
func collection(t *testing.T, o Options, rest string) (*Scenario, string) {
	t.Helper()
	s, err := Postman([]byte(`{"info":{"name":"x"},`+rest+`}`), o)
	require.NoError(t, err)
	text, _ := parses(t, s)
	return s, text
}

// What is sent is what the collection says, with what responses give.
func TestAPostmanCollectionIsSent(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "shop.postman.json"))
	require.NoError(t, err)
	s, err := Postman(src, Options{Secrets: true})
	require.NoError(t, err)
	assert.Equal(t, 2, s.Left)
	assert.Equal(t, []string{"data.csv"}, s.Files())
	text, err := s.YAML()
	require.NoError(t, err)
	made, err := load(s, text)
	require.NoError(t, err, "%s", text)
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			body = nil
		}
		got = append(got, fmt.Sprintf("%s %s %s|%s|%s", r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), body))
		_, _ = io.WriteString(w, `{"token":"t0k","user":{"name":"ada"},"orders":[{"id":7}]}`)
	}))
	defer server.Close()
	play(t, made, server.URL, nil)
	require.Len(t, got, 6)
	assert.Equal(t, `POST /login ||{"user": "ada", "password": "hunter2"}`, got[0])
	assert.Regexp(t, `^GET /orders/7\?limit=5&name=[A-Z][a-z]+ Bearer t0k\|\|$`, got[1])
	assert.Equal(t, "POST /form Basic bWU6cHc=||a=b+c", got[2])
	assert.Equal(t, "POST /up |s3cret|", got[3])
	assert.Equal(t, `POST /graphql Bearer t0k||{"query":"query { a }","variables":{"n":"7"}}`, got[4])
	assert.Regexp(t, `^PUT /raw \|\|\{"id": 7, "n": \d+\}$`, got[5])
}

func TestPostmanTestsBecomeChecks(t *testing.T) {
	s, text := collection(t, Options{}, `"item":[{"name":"a","request":"http://h/a","event":[{"listen":"test","script":{"exec":[
		"pm.test('x', function(){ pm.expect(pm.response.code).to.be.oneOf([200, 204]); });",
		"var j = JSON.parse(responseBody);", "pm.expect(j.items[0]['a b']).to.be.above(3)", "pm.expect(j.on).to.be.true;", "pm.expect(j.x).to.exist;",
		"pm.response.to.have.header('X-A');", "pm.expect(pm.response.text()).to.include(\"ok\");", "pm.response.to.be.ok;",
		"for (const x of j) {", "  check(x);", "}"]}}]}]`)
	for _, want := range []string{
		"- name: a", "expect: 200, 204", `json("$.items[0][\"a b\"]") > 3`, `json("$.on") == true`, `json("$.x") != nil`, `header("X-A") != nil`, `body contains "ok"`,
		"status >= 200 && status < 300", "#     for (const x of j) {", "#       check(x);",
	} {
		assert.Contains(t, text, want)
	}
	assert.Equal(t, 1, s.Left)
}

// A variable that is used before a response gives it stays a variable.
func TestPostmanVariables(t *testing.T) {
	_, text := collection(t, Options{Flow: true}, `"variable":[{"key":"x-id","value":"5"}],"item":[
		{"name":"a","request":"{{url}}/{{x-id}}/{{$randomNonsense}}","event":[{"listen":"test","script":{"exec":"pm.environment.set('x-id', pm.response.json().id)"}}]}]`)
	for _, want := range []string{`x_id: "5"`, "request: GET /${x_id}/${\"randomNonsense \" + string(randint(1, 1000))}", "$url stands for the target", "$randomNonsense", "pm.environment.set"} {
		assert.Contains(t, text, want)
	}
}

func TestPostmanRefused(t *testing.T) {
	for src, want := range map[string]string{
		"":                        "this is no Postman collection",
		`{"item":[]}`:             "has no item",
		`{"item":[{"name":"a"}]}`: "no request in it",
		`{"info":{"schema":"https://schema.getpostman.com/json/collection/v1.0.0/"},"item":[{"name":"a"}]}`: "export it as v2.1",
		`{"item":[{"name":"a","request":{"method":"BREW","url":"http://h"}}]}`:                              "BREW",
	} {
		_, err := Postman([]byte(src), Options{})
		assert.ErrorContains(t, err, want, src)
	}
}

func FuzzPostman(f *testing.F) {
	fuzz(f, Postman, "shop.postman.json", `{"item":[{"name":"a","request":{"url":"http://h/{{a}}?b={{$guid}}","body":{"mode":"raw","raw":"{\"a\":\"{{b}}\"}"}}}]}`)
}
