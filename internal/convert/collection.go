package convert

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
)

// postmanFile is what is used of a collection of version 2.1.
type postmanFile struct {
	Info struct {
		Name   string `json:"name"`
		Schema string `json:"schema"`
	} `json:"info"`
	postmanItem
	Variable []postmanPair `json:"variable"`
}

// postmanItem is a folder or a request.
type postmanItem struct {
	Name     string           `json:"name"`
	Item     []postmanItem    `json:"item"`
	Request  *postmanRequest  `json:"request"`
	Event    []postmanEvent   `json:"event"`
	Auth     *postmanAuth     `json:"auth"`
	Behavior *postmanBehavior `json:"protocolProfileBehavior"`
}

type postmanBehavior struct {
	Follow *bool `json:"followRedirects"`
}

type postmanEvent struct {
	Listen   string `json:"listen"`
	Disabled bool   `json:"disabled"`
	Script   struct {
		Exec postmanLines `json:"exec"`
	} `json:"script"`
}

// postmanPair is a name with a value: of a variable, a header, a field.
type postmanPair struct {
	Key         string       `json:"key"`
	Value       postmanText  `json:"value"`
	Type        string       `json:"type"`
	Src         postmanLines `json:"src"`
	ContentType string       `json:"contentType"`
	Disabled    bool         `json:"disabled"`
}

type postmanAuth struct {
	Type   string        `json:"type"`
	Basic  []postmanPair `json:"basic"`
	Bearer []postmanPair `json:"bearer"`
	APIKey []postmanPair `json:"apikey"`
}

type postmanRequest struct {
	Method string         `json:"method"`
	URL    postmanURL     `json:"url"`
	Header postmanHeaders `json:"header"`
	Auth   *postmanAuth   `json:"auth"`
	Body   *struct {
		Mode       string        `json:"mode"`
		Raw        string        `json:"raw"`
		URLEncoded []postmanPair `json:"urlencoded"`
		FormData   []postmanPair `json:"formdata"`
		Disabled   bool          `json:"disabled"`
		File       struct {
			Src string `json:"src"`
		} `json:"file"`
		GraphQL struct {
			Query     string      `json:"query"`
			Variables postmanText `json:"variables"`
		} `json:"graphql"`
		Options struct {
			Raw struct {
				Language string `json:"language"`
			} `json:"raw"`
		} `json:"options"`
	} `json:"body"`
}

// text is the URL, with the values of :name in its path.
func (u *postmanURL) text() string {
	at := u.Raw
	if at == "" {
		at = strings.Join(u.Host, ".") + "/" + strings.Join(u.Path, "/")
		if u.Protocol != "" {
			at = u.Protocol + "://" + at
		}
	}
	path, query, _ := strings.Cut(at, "?")
	for _, v := range u.Variable {
		name := regexp.MustCompile(`/:` + regexp.QuoteMeta(v.Key) + `(/|$)`)
		value := strings.ReplaceAll(url.PathEscape(string(v.Value)), "%7B%7B", "{{")
		path = name.ReplaceAllString(path, "/"+strings.ReplaceAll(strings.ReplaceAll(value, "%7D%7D", "}}"), "$", "$$")+"$1")
	}
	if u.Query != nil { // with those that are not sent
		var pairs []string
		for _, q := range u.Query {
			if !q.Disabled {
				p := strings.ReplaceAll(q.Key, "&", "%26")
				if q.Value != "" || strings.Contains(query, q.Key+"=") {
					p += "=" + strings.ReplaceAll(string(q.Value), "&", "%26")
				}
				pairs = append(pairs, p)
			}
		}
		query = strings.Join(pairs, "&")
	}
	if query != "" {
		path += "?" + query
	}
	return path
}

// postmanURL may be a text.
type postmanURL struct {
	Raw      string        `json:"raw"`
	Protocol string        `json:"protocol"`
	Host     postmanLines  `json:"host"`
	Path     postmanLines  `json:"path"`
	Query    []postmanPair `json:"query"`
	Variable []postmanPair `json:"variable"`
}

// UnmarshalJSON takes a text, or the parts.
func (u *postmanURL) UnmarshalJSON(src []byte) error {
	if json.Unmarshal(src, &u.Raw) == nil {
		return nil
	}
	type plain postmanURL
	return json.Unmarshal(src, (*plain)(u))
}

// UnmarshalJSON takes a text for a GET, or a request.
func (r *postmanRequest) UnmarshalJSON(src []byte) error {
	if json.Unmarshal(src, &r.URL.Raw) == nil {
		return nil
	}
	type plain postmanRequest
	return json.Unmarshal(src, (*plain)(r))
}

// postmanLines is a text, or a list of them.
type postmanLines []string

// UnmarshalJSON takes either; what is no text in a list is passed over.
func (l *postmanLines) UnmarshalJSON(src []byte) error {
	var one string
	if json.Unmarshal(src, &one) == nil {
		if *l = nil; one != "" {
			*l = strings.Split(one, "\n")
		}
		return nil
	}
	var all []any
	if err := json.Unmarshal(src, &all); err != nil {
		return err
	}
	*l = nil
	for _, x := range all {
		switch x := x.(type) {
		case string:
			*l = append(*l, x)
		case map[string]any:
			if v, ok := x["value"].(string); ok {
				*l = append(*l, v)
			}
		}
	}
	return nil
}

// postmanText is a value as text.
type postmanText string

// UnmarshalJSON takes any value.
func (t *postmanText) UnmarshalJSON(src []byte) error {
	var s string
	if err := json.Unmarshal(src, &s); err == nil {
		*t = postmanText(s)
	} else if string(src) != "null" {
		*t = postmanText(src)
	}
	return nil
}

// postmanHeaders is a list, or a text with a header in each line.
type postmanHeaders []postmanPair

// UnmarshalJSON takes either.
func (h *postmanHeaders) UnmarshalJSON(src []byte) error {
	var text string
	if json.Unmarshal(src, &text) != nil {
		return json.Unmarshal(src, (*[]postmanPair)(h))
	}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			*h = append(*h, postmanPair{Key: strings.TrimSpace(name), Value: postmanText(strings.TrimSpace(value))})
		}
	}
	return nil
}
