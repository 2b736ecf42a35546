package lab

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
)

// plainArgs are the arguments that start a recipe's image as a usual server, without the drain contract. A recipe that is not listed has a usual server
// in its image.
var plainArgs = map[string][]string{
	"grpc":     {"-plain"},
	"jvm":      {"plain"},
	"node":     {"/srv/plain.js"},
	"gunicorn": {"--bind=0.0.0.0:8080", "--workers=2", "--threads=32", "--worker-tmp-dir=/tmp"},
}

// recipeProfile is the profile of the recipes. The servers start within two seconds. The plain ones have no readiness probe, so the lab waits for
// startSeconds.
var recipeProfile = profile{name: "recipe", startSeconds: 3, requestSeconds: 1}

// recipeClients do not overload two cores, which run each server three times, even a JVM or Python. A gRPC client has few connections, which its calls share.
var recipeClients = []clientKind{
	{name: "new", rate: 40, mode: load.NewConnection, query: "/?seconds=0", safeWithSleep: true},
	{name: "slow", rate: 20, mode: load.NewConnection, query: "/?seconds=%d", safeWithSleep: true},
	{name: "keep-alive", rate: 80, mode: load.KeepAlive, query: "/?seconds=0"},
	{name: "slow keep-alive", rate: 10, mode: load.KeepAlive, query: "/?seconds=%d", conns: 10},
	{name: "gRPC", rate: 80, mode: load.GRPC, query: "/gracefulapp.lab.Hello/Say?seconds=0", conns: 5, safeWithSleep: true},
	{name: "slow gRPC", rate: 20, mode: load.GRPC, query: "/gracefulapp.lab.Hello/Say?seconds=%d", conns: 5, safeWithSleep: true},
}

// recipeScenarios returns the scenarios of a recipe: scaling down and a rollout.
func recipeScenarios(recipe string) []scenario {
	return []scenario{
		{name: recipe + "-scale-down", title: recipe + ": scale down 6 -> 3 -> 1", replicas: 6, profile: recipeProfile, promised: true, controlMustLose: true, steps: scaleDown},
		{name: recipe + "-rollout", title: recipe + ": two rolling updates of 3 pods", replicas: 3, profile: recipeProfile, promised: true, controlMustLose: true, steps: rollOut},
	}
}

func recipesCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: "dist/recipes.json", rate: 1, repeats: usualRepeats}
	folder, rounds := "config/samples/recipes", 1
	c := &cobra.Command{
		Use: "recipes [NAME...]", Short: "Run the servers of the recipes: as in the recipe, unchanged with the drain sidecar, and as a plain Deployment",
		RunE: func(c *cobra.Command, names []string) error {
			pairs, err := recipeSuites(folder, names)
			if err != nil {
				return err
			}
			return o.runInTurn(c.Context(), recipeBatches(pairs, rounds))
		},
	}
	o.bind(c)
	c.Flags().StringVar(&folder, "recipes", folder, "directory of the recipes' GracefulApps")
	c.Flags().IntVar(&rounds, "rounds", rounds, "number of times to run the scenarios")
	return c
}

// recipeBatches returns a batch for each server. The start of all servers at once would overload two cores.
func recipeBatches(pairs []suite, rounds int) []batch {
	var all []batch
	for _, pair := range pairs {
		all = append(all, batch{suite: pair, scenarios: slices.Repeat(recipeScenarios(pair.workloads[0].name), rounds)})
	}
	return all
}

// recipeSuites returns a suite for each recipe, or for each named one.
func recipeSuites(folder string, names []string) ([]suite, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var pairs []suite
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		app := &v1alpha1.GracefulApp{}
		text, err := os.ReadFile(file)
		if err == nil {
			err = yaml.UnmarshalStrict(text, app)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a recipe: %w", err)
		}
		pairs = append(pairs, suite{clients: recipeClients, profile: recipeProfile, workloads: recipeWorkloads(name, app)})
	}
	if len(names) > 0 || len(pairs) == 0 {
		return nil, fmt.Errorf("no recipe %s in %s", strings.Join(names, ", "), folder)
	}
	return pairs, nil
}

// recipeWorkloads returns three workloads: a recipe's GracefulApp; the usual server, which knows nothing of draining, with the drain sidecar; and the same
// server as a plain Deployment without probes and without a preStop hook.
func recipeWorkloads(name string, app *v1alpha1.GracefulApp) []*workload {
	given := app.Spec.Template.Spec.Containers[0]
	hook := given.Lifecycle != nil && given.Lifecycle.PreStop != nil
	calls := given.ReadinessProbe != nil && given.ReadinessProbe.GRPC != nil
	return []*workload{
		{
			name: name, title: name + ", GracefulApp", share: 1, managed: true, probed: true, grpc: calls,
			drainAware: hook && given.Lifecycle.PreStop.HTTPGet != nil,
			build: func(w *workload, _ profile, _ string) []client.Object {
				app := app.DeepCopy()
				app.ObjectMeta = metav1.ObjectMeta{Name: w.name}
				app.Spec.Replicas = new(int32(1))
				app.Spec.Template.Labels = w.podLabels()
				return []client.Object{app}
			},
		},
		{
			name: name + report.SidecarSuffix, title: name + ", unchanged, with the drain sidecar", share: 1, managed: true, probed: true, grpc: calls,
			drainAware: true,
			build: func(w *workload, _ profile, _ string) []client.Object {
				return []client.Object{unchangedRecipe(w, app, plainArgs[name])}
			},
		},
		{
			name: name + report.PlainSuffix, title: name + ", plain Deployment", share: 1, control: true, grpc: calls,
			build: func(w *workload, _ profile, _ string) []client.Object {
				d := w.deployment(corev1.Container{
					Name: given.Name, Image: given.Image, Args: plainArgs[name], Ports: given.Ports, Env: given.Env,
					Resources: given.Resources, SecurityContext: given.SecurityContext, VolumeMounts: given.VolumeMounts,
				})
				d.Spec.Template.Spec.Volumes = app.Spec.Template.Spec.Volumes
				s := w.service()
				s.Spec.Ports[0].TargetPort = intstr.FromString(given.Ports[0].Name)
				return []client.Object{d, s}
			},
		},
	}
}

// unchangedRecipe returns the GracefulApp of a recipe's usual server with the drain sidecar.
func unchangedRecipe(w *workload, recipe *v1alpha1.GracefulApp, args []string) *v1alpha1.GracefulApp {
	app := recipe.DeepCopy()
	app.ObjectMeta = metav1.ObjectMeta{Name: w.name}
	app.Spec.Replicas = new(int32(1))
	app.Spec.Drain = &v1alpha1.DrainSpec{Mode: v1alpha1.DrainModeSidecar}
	app.Spec.Template.Labels = w.podLabels()
	server := &app.Spec.Template.Spec.Containers[0]
	server.Args, server.Lifecycle = args, nil
	return app
}
