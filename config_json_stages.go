package loadgen

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opbeans/loadgen/internal/jsonform"
	"github.com/opbeans/loadgen/internal/textkit"
)

// stageFields lists the keys of a stage, which are read and written like those of a
// job.
func stageFields() []jsonform.Field[Stage] {
	return []jsonform.Field[Stage]{
		jsonform.Seconds("duration", true, func(s *Stage) *time.Duration { return &s.Duration }),
		rateField(func(s *Stage) *Rate { return &s.Rate }),
		jsonform.Count("workers", false, func(s *Stage) *int { return &s.Workers }),
		jsonform.Flag("step", func(s *Stage) *bool { return &s.Step }),
	}
}

// stagesField reads a list that replaces the one before as a whole.
func stagesField() configField {
	return configField{
		Name: "stages",
		Write: func(c *JobConfig) any {
			if len(c.Stages) == 0 {
				return nil
			}
			list := make([]map[string]any, len(c.Stages))
			for i := range c.Stages {
				list[i] = map[string]any{}
				for _, field := range stageFields() {
					if v := field.Write(&c.Stages[i]); v != nil {
						list[i][field.Name] = v
					}
				}
			}
			return list
		},
		Read: func(c *JobConfig, raw json.RawMessage, f *jsonform.Faults) {
			var list []map[string]json.RawMessage
			if json.Unmarshal(raw, &list) != nil {
				f.Add("stages", "must be a list of objects, not %s", textkit.Shorten(string(raw)))
				return
			}
			c.Stages = nil
			for i, object := range list {
				var stage Stage
				for _, fault := range jsonform.Read(stageFields(), object, &stage, "a stage") {
					f.Add(fmt.Sprintf("stages.%d.%s", i+1, fault.Field), "%s", fault.Message)
				}
				c.Stages = append(c.Stages, stage)
			}
		},
	}
}
