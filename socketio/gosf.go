package socketio

import (
	"encoding/json"
	"maps"
)

// standardForm is gosf's standard form of a message, with the fields that an answer
// to it repeats.
type standardForm struct {
	ID   json.RawMessage `json:"id,omitempty"`
	GUID json.RawMessage `json:"guid,omitempty"`
	UUID json.RawMessage `json:"uuid,omitempty"`

	Success bool            `json:"success"`
	Text    string          `json:"text,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// readStandardForm returns a message in standard form, or nil if it is in no such
// form: it has keys of the form, and no others. gosf's own programs always send
// success.
func readStandardForm(body json.RawMessage) *standardForm {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || len(object) == 0 {
		return nil
	}
	form := &standardForm{ID: object["id"], GUID: object["guid"], UUID: object["uuid"], Body: object["body"]}
	if string(form.Body) == "null" {
		form.Body = nil
	}
	maps.DeleteFunc(object, func(key string, _ json.RawMessage) bool {
		switch key {
		case "id", "guid", "uuid", "success", "text", "meta", "body":
			return true
		}
		return false
	})
	if len(object) > 0 {
		return nil
	}
	return form
}

// answer is the form's answer. Its body is an object, as gosf wants it.
func (f *standardForm) answer(result any, err error) standardForm {
	a := standardForm{ID: f.ID, GUID: f.GUID, UUID: f.UUID, Success: err == nil}
	if err != nil {
		a.Text, result = err.Error(), refusal(err)
	}
	a.Body, err = json.Marshal(result)
	if err == nil && (len(a.Body) == 0 || a.Body[0] != '{') {
		a.Body, err = json.Marshal(map[string]json.RawMessage{"result": a.Body})
	}
	if err != nil {
		a.Success, a.Text, a.Body = false, err.Error(), nil
	}
	return a
}
