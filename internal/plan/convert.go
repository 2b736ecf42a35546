package plan

import "encoding/json"

// Convert decodes the JSON form of from into to. A type of the API and its apply configuration have the same JSON form. Convert fails on a number that
// overflows its Go type; runtime.DefaultUnstructuredConverter would truncate it.
func Convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}
