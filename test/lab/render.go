package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

// renderCommand shows a run that was stored.
func renderCommand() *cobra.Command {
	markdown := ""
	c := &cobra.Command{
		Use: "render [FILE]", Short: "Show a stored run: as the terminal's table, or in other forms", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "dist/lab.json"
			if len(args) > 0 {
				path = args[0]
			}
			r, err := report.Read(path)
			if err != nil {
				return err
			}
			if markdown != "" {
				return os.WriteFile(markdown, []byte(report.Summary(r)), 0o644)
			}
			fmt.Print(report.Table(r))
			return nil
		},
	}
	c.Flags().StringVar(&markdown, "markdown", "", "write the short table to this file")
	return c
}
