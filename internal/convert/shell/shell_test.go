package shell

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// words are the commands of a script, with references written as $NAME.
func words(t *testing.T, src string) [][]string {
	t.Helper()
	script, err := Parse(src)
	require.NoError(t, err, src)
	var out [][]string
	for _, c := range script.Commands {
		line := []string{}
		for _, w := range c.Words {
			line = append(line, strings.NewReplacer(string(Open), "<", string(Close), ">").Replace(w))
		}
		if c.Stdin != nil {
			line = append(line, "stdin:"+strings.NewReplacer(string(Open), "<", string(Close), ">").Replace(*c.Stdin))
		}
		if c.Input != "" {
			line = append(line, "input:"+c.Input)
		}
		out = append(out, line)
	}
	return out
}

func TestWords(t *testing.T) {
	for src, want := range map[string][][]string{
		`curl a'b c'"d \$e \" \x"f\ g`:                                                   {{"curl", `ab cd $e " \xf g`}},
		"a \\\n b # c\nd; e & f":                                                         {{"a", "b"}, {"d"}, {"e"}, {"f"}},
		`a $'\x41\u00e9\n\'\z\101' ''`:                                                   {{"a", "Aé\n'\\zA", ""}},
		"a b 2>/dev/null | c d; e":                                                       {{"a", "b"}, {"c", "d"}, {"e"}},
		"a x2 >out 2>&1 b &>'o p' c >> f && d || e":                                      {{"a", "x2", "b", "c"}, {"d"}},
		"curl ^\r\n  http://x/?a=1^&b=2":                                                 {{"curl", "http://x/?a=1&b=2"}},
		"curl ^\"a^&b^\" -d ^\"^{^\\^\"x^\\^\":1^}^\"":                                   {{"curl", "a&b", "-d", `{"x":1}`}},
		"curl ^\"http://x/^%^41^\" -H \"a: ^b\" \"c\"\"d\" %ID% ^\r\n x & curl y":        {{"curl", "http://x/%41", "-H", "a: ^b", `c"d`, "<ID>", "x"}, {"curl", "y"}},
		"curl ^\"a^\n\nb^\"":                                                             {{"curl", "a\nb"}},
		"curl.exe -d '{\\\"a\\\":\\\"b''c\\\"}' `\r\n -H \"x: $env:TOKEN `$5\" http://x": {{"curl.exe", "-d", `{"a":"b'c"}`, "-H", "x: <TOKEN> $5", "http://x"}},
		"$id = 7\ncurl.exe \"http://x/$id\" -H `\n y":                                    {{"curl.exe", "http://x/<id>", "-H", "y"}},
		`curl.exe -d '{\"a\":1}' x`:                                                      {{"curl.exe", "-d", `{"a":1}`, "x"}},
		"a#b":                                                                            {{"a#b"}},
		`curl "$A/${B}" '$C' "\$D" ${E:-5}`:                                              {{"curl", "<A>/<B>", "$C", "$D", "<E>"}},
		"for i in 1 2; do curl x/$i; done":                                               {{"curl", "x/<i>"}},
		"if true; then (curl a); fi; { time curl b; }":                                   {{"curl", "a"}, {"curl", "b"}},
		"X=1 curl a": {{"curl", "a"}},
		"T=$(curl -s a | jq -r .t)\ncurl b -H \"A: $T\"":   {{"curl", "-s", "a"}, {"jq", "-r", ".t"}, {"curl", "b", "-H", "A: <T>"}},
		"echo '{\"a\":1}' | curl -d @- a":                  {{"curl", "-d", "@-", "a", "stdin:{\"a\":1}\n"}},
		"cat f.json | curl -d @- a":                        {{"curl", "-d", "@-", "a", "input:f.json"}},
		"curl -d @- a < f.json":                            {{"curl", "-d", "@-", "a", "input:f.json"}},
		"curl -d @- a <<EOF\n{\"a\": \"$X\"}\nEOF\ncurl b": {{"curl", "-d", "@-", "a", "stdin:{\"a\": \"<X>\"}\n"}, {"curl", "b"}},
		"curl -d @- a <<-'EOF' | jq\n\t$X\n\tEOF":          {{"curl", "-d", "@-", "a"}, {"jq", "stdin:$X\n"}},
		"A=http://x B=$A/y\ncurl $B":                       {{"curl", "<A>/y"}},
		"I=1; curl $I; I=2; curl $I":                       {{"curl", "<I>"}, {"curl", "2"}},
	} {
		assert.Equal(t, want, words(t, src), src)
	}
}

func TestFaults(t *testing.T) {
	for src, want := range map[string]string{
		"a 'b":     "a quote is not closed",
		`a "b`:     "a quote is not closed",
		`a \`:      "ends in a backslash",
		"a ^\"b":   "a quote is not closed",
		"a `\n 'b": "a quote is not closed",
		"a <<":     "no word that ends",
		strings.Repeat("$(", 30) + strings.Repeat(")", 30): "too deep",
	} {
		_, err := Parse(src)
		assert.ErrorContains(t, err, want, src)
	}
}

func TestVariables(t *testing.T) {
	script, err := Parse("ID=5 N='a b'\ncurl $ID $N $U ${D:-7} $(date)")
	require.NoError(t, err)
	assert.Equal(t, []Variable{{"ID", "5", true}, {"N", "a b", true}, {"U", "", false}, {"D", "7", true}, {"OUTPUT", "", false}}, script.Vars)
	assert.Len(t, script.Notes, 1)
}

func FuzzParse(f *testing.F) {
	f.Add("curl 'a' \"$b\" | c")
	f.Add("curl ^\"a^\" %b%")
	f.Add("curl `\n $env:a '\"'")
	f.Fuzz(func(_ *testing.T, src string) { _, _ = Parse(src) })
}

// In the Windows command prompt < names the file of the standard input, also at the end of a line.
func TestInputOfTheCommandPrompt(t *testing.T) {
	for source, input := range map[string]string{
		"curl ^\"http://h/a^\" -d @- < body.json":                "body.json",
		"curl ^\"http://h/a^\" -d @- <\"body.json\"":             "body.json",
		"curl ^\"http://h/a^\" -d @- < body.json > out.txt":      "body.json",
		"curl ^\"http://h/a^\" <":                                "",
		"curl ^\"http://h/a^\" -d @- < body.json & curl ^\"b^\"": "body.json",
	} {
		script, err := Parse(source)
		require.NoError(t, err, source)
		require.NotEmpty(t, script.Commands, source)
		assert.Equal(t, input, script.Commands[0].Input, source)
		assert.Equal(t, "curl", script.Commands[0].Words[0])
		assert.NotContains(t, script.Commands[0].Words, "body.json")
	}
}
