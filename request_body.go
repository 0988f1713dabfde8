package loadgen

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"

	"github.com/opbeans/loadgen/internal/jsonpath"
)

// SetBasicAuth gives the request a name and a password (RFC 7617).
func (r *Request) SetBasicAuth(user, password string) {
	r.setHeader("Authorization", string(appendBasic(nil, []byte(user+":"+password))))
}

// SetBearer gives the request a token (RFC 6750).
func (r *Request) SetBearer(token string) { r.setHeader("Authorization", "Bearer "+token) }

// SetJSON makes v the body, as JSON. The error says why v cannot be JSON.
func (r *Request) SetJSON(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.Body = body
	r.setHeader("Content-Type", "application/json")
	return nil
}

// SetForm makes the fields of a form the body, in the order of their names.
func (r *Request) SetForm(fields url.Values) {
	r.Body = []byte(fields.Encode())
	r.setHeader("Content-Type", "application/x-www-form-urlencoded")
}

// SetMultipart makes what write writes, fields and files, the body. The error is that
// of write.
func (r *Request) SetMultipart(write func(w *multipart.Writer) error) error {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	r.Body = body.Bytes()
	r.setHeader("Content-Type", w.FormDataContentType())
	return nil
}

func (r *Request) setHeader(name, value string) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(name, value)
}

// JSON returns a value of a JSON body, or nil if there is none: a string, int, float64,
// bool, []any or map[string]any. The path is "$" for the whole, then .name, .0, [0] or
// ["a name"] for each level. The request must have asked for its body.
//
// The error is an [*Error] of class check if the body is not JSON, and says what is
// wrong with a path.
func (r *Response) JSON(path string) (any, error) {
	p, err := jsonpath.Parse(path)
	if err != nil {
		return nil, err
	}
	doc, err := jsonpath.Decode(r.Body)
	if err != nil {
		return nil, &Error{Class: ClassCheck, Err: err}
	}
	return jsonpath.Plain(p.Find(doc)), nil
}
