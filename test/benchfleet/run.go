package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// measurement has the figures of one run with a number of apps.
type measurement struct {
	Apps       int      `json:"apps"`
	Namespaces int      `json:"namespaces"`
	Run        int      `json:"run"`
	Baseline   baseline `json:"baseline"`
	Operator   operator `json:"operator"`
	// Admission is nil without options.admission.
	Admission *admission `json:"admission,omitempty"`
}

// run measures everything or reads earlier figures, and shows them.
func run(ctx context.Context, o options) error {
	source := func() ([]measurement, error) { return measureAll(ctx, o) }
	if o.from != "" {
		source = func() ([]measurement, error) { return read(o.from) }
	}
	all, err := source()
	if err != nil {
		return err
	}
	fmt.Print(table(all))
	if o.plotFile == "" {
		return nil
	}
	return draw(o.plotFile, all)
}

// measureAll writes the file after each measurement, so that it exists also after an error.
func measureAll(ctx context.Context, o options) ([]measurement, error) {
	var all []measurement
	for i := range o.runs {
		for _, n := range o.sizes {
			for _, namespaces := range o.namespaces {
				m, err := measure(ctx, o, n, namespaces, i+1)
				if err != nil {
					return all, err
				}
				all = append(all, m)
				if err := write(o.jsonFile, all); err != nil {
					return all, err
				}
			}
		}
	}
	return all, nil
}

func read(file string) ([]measurement, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []measurement
	return all, json.Unmarshal(text, &all)
}

func measure(ctx context.Context, o options, n, namespaces, number int) (m measurement, err error) {
	start := time.Now()
	m = measurement{Apps: n, Namespaces: namespaces, Run: number}
	if m.Baseline, err = measureBaseline(ctx, o, n, namespaces); err != nil {
		return m, err
	}
	if m.Operator, err = measureOperator(ctx, o, n, namespaces); err != nil {
		return m, err
	}
	if o.admission {
		figures, err := measureAdmission(ctx, o, n, namespaces)
		if err != nil {
			return m, err
		}
		m.Admission = &figures
	}
	fmt.Fprintf(os.Stderr, "run %d, %d apps in %d namespaces: created in %.1f s (bare client %.1f s); %.0f s in all\n",
		number, n, namespaces, m.Operator.Create, m.Baseline.Limit, time.Since(start).Seconds())
	return m, nil
}

func write(file string, all []measurement) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
