package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// renderCommand returns the command that shows a stored run.
func renderCommand() *cobra.Command {
	var html, echarts, markdown, recipes, causes, picture, scenario string
	var isDark bool
	c := &cobra.Command{
		Use: "render [FILE]", Short: "Show a stored run as a table in the terminal, or in the forms of the flags", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := defaultRun
			if len(args) > 0 {
				path = args[0]
			}
			r, err := report.Read(path)
			if err != nil {
				return err
			}
			if html == "" && markdown == "" && recipes == "" && causes == "" && picture == "" {
				fmt.Print(report.Table(r))
			}
			return errors.Join(
				write(html, func(w io.Writer) error { return page(w, r, echarts) }),
				write(markdown, func(w io.Writer) error { _, err := io.WriteString(w, report.Summary(r)); return err }),
				write(recipes, func(w io.Writer) error { _, err := io.WriteString(w, report.Recipes(r)); return err }),
				write(causes, func(w io.Writer) error { _, err := io.WriteString(w, report.Causes(r)); return err }),
				write(picture, func(w io.Writer) error { return pictureOf(w, r, scenario, isDark) }),
			)
		},
	}
	f := c.Flags()
	f.StringVar(&html, "html", "", "write a self-contained HTML page to this file")
	f.StringVar(&echarts, "echarts", "test/lab/report/web/node_modules/echarts/dist/echarts.min.js", "chart library that the page contains; make lab-page fetches it")
	f.StringVar(&markdown, "markdown", "", "write the summary table to this file")
	f.StringVar(&recipes, "recipes", "", "write the table of a recipes run to this file")
	f.StringVar(&causes, "causes", "", "write the table of lost requests by workload and cause to this file")
	f.StringVar(&picture, "svg", "", "write a picture of one scenario to this file")
	f.StringVar(&scenario, "scenario", "scale", "scenario of the picture")
	f.BoolVar(&isDark, "dark", false, "draw the picture for a dark background")
	return c
}

func page(w io.Writer, r report.Run, echarts string) error {
	script, err := os.ReadFile(echarts)
	if err != nil {
		return fmt.Errorf("reading the chart library; run make lab-page to fetch it: %w", err)
	}
	return report.Page(w, r, script)
}

func pictureOf(w io.Writer, r report.Run, name string, isDark bool) error {
	i := slices.IndexFunc(r.Scenarios, func(s report.Scenario) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("the run has no scenario %s", name)
	}
	return report.Strips(w, r.Scenarios[i], isDark)
}

// write writes the content to a file. It does nothing if the path is empty.
func write(path string, content func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}
