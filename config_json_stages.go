package loadgen

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opbeans/loadgen/internal/textkit"
)

// stageFields lists the keys of a stage, which are read and written like those of a
// job.
func stageFields(s *Stage) []configField {
	return []configField{
		secondsField("duration", true, func(*JobConfig) *time.Duration { return &s.Duration }),
		rateField(func(*JobConfig) *Rate { return &s.Rate }),
		countField("workers", false, func(*JobConfig) *int { return &s.Workers }),
		{
			name:  "step",
			write: func(*JobConfig) any { return leaveOut(s.Step, false) },
			read: func(_ *JobConfig, raw json.RawMessage, f *faults) {
				if json.Unmarshal(raw, &s.Step) != nil {
					f.add("step", "must be true or false, not %s", textkit.Shorten(string(raw)))
				}
			},
		},
	}
}

// stagesField reads a list that replaces the one before as a whole.
func stagesField() configField {
	return configField{
		name: "stages",
		write: func(c *JobConfig) any {
			if len(c.Stages) == 0 {
				return nil
			}
			list := make([]map[string]any, len(c.Stages))
			for i := range c.Stages {
				list[i] = map[string]any{}
				for _, field := range stageFields(&c.Stages[i]) {
					if v := field.write(c); v != nil {
						list[i][field.name] = v
					}
				}
			}
			return list
		},
		read: func(c *JobConfig, raw json.RawMessage, f *faults) {
			var list []map[string]json.RawMessage
			if json.Unmarshal(raw, &list) != nil {
				f.add("stages", "must be a list of objects, not %s", textkit.Shorten(string(raw)))
				return
			}
			c.Stages = nil
			for i, object := range list {
				var stage Stage
				var names []string
				var own faults
				for _, field := range stageFields(&stage) {
					names = append(names, field.name)
					value, given := object[field.name]
					delete(object, field.name)
					if given && !textkit.IsNull(value) {
						field.read(c, value, &own)
					}
				}
				for _, name := range textkit.SortedKeys(object) {
					own.add(textkit.Shorten(name), "is not a setting of a stage%s", textkit.DidYouMean(name, names))
				}
				for _, fault := range own {
					f.add(fmt.Sprintf("stages.%d.%s", i+1, fault.Field), "%s", fault.Message)
				}
				c.Stages = append(c.Stages, stage)
			}
		},
	}
}
