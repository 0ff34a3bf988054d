// What the API server would do with a manifest: strict decoding, defaulting, the strategy of its kind (which drops in silence
// what belongs to a feature that is off), validation, and Pod Security admission. The code is the API server's own.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

const namespace = "default"

var (
	strategies = map[string]rest.RESTCreateStrategy{
		"apps/v1 Deployment":                 deployment.Strategy,
		"apps/v1 StatefulSet":                statefulset.Strategy,
		"apps/v1 DaemonSet":                  daemonset.Strategy,
		"v1 Service":                         service.Strategy,
		"v1 ConfigMap":                       configmap.Strategy,
		"v1 Pod":                             pod.Strategy,
		"policy/v1 PodDisruptionBudget":      poddisruptionbudget.Strategy,
		"networking.k8s.io/v1 NetworkPolicy": networkpolicy.Strategy,
	}
	strict = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
)

// documents of a YAML stream, the empty ones left out.
func documents(text []byte) (all [][]byte, err error) {
	reader := yaml.NewYAMLReader(newReader(text))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(document)) > 0 {
			all = append(all, document)
		}
	}
}

// stored is what the API server makes of a document, and what it says about it. `given` is the document as a tree.
func stored(document []byte) (made runtime.Object, given map[string]any, warnings []string, err error) {
	versioned, kind, err := strict.Decode(document, nil, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	if err = yaml.Unmarshal(document, &given); err != nil {
		return nil, nil, nil, err
	}
	legacyscheme.Scheme.Default(versioned)
	made, warnings, err = created(versioned, *kind)
	return made, given, warnings, err
}

// created is what a POST of an object with its defaults leads to, in its own version again.
func created(versioned runtime.Object, kind schema.GroupVersionKind) (runtime.Object, []string, error) {
	name := kind.GroupVersion().String() + " " + kind.Kind
	strategy, known := strategies[name]
	if !known {
		return nil, nil, fmt.Errorf("no strategy for %s", name)
	}
	internal, err := legacyscheme.Scheme.ConvertToVersion(versioned, schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal})
	if err != nil {
		return nil, nil, err
	}
	ctx := genericrequest.WithNamespace(context.Background(), namespace)
	ctx = genericrequest.WithRequestInfo(ctx, &genericrequest.RequestInfo{APIGroup: kind.Group, APIVersion: kind.Version, Verb: "create", Namespace: namespace})
	if meta, err := meta.Accessor(internal); err == nil {
		rest.FillObjectMetaSystemFields(meta)
	}
	if err = rest.BeforeCreate(strategy, ctx, internal); err != nil {
		return nil, nil, err
	}
	warnings := strategy.WarningsOnCreate(ctx, internal)
	made, err := legacyscheme.Scheme.ConvertToVersion(internal, kind.GroupVersion())
	return made, warnings, err
}

// dropped names the fields of `given` that `kept` does not have, or has otherwise, and which no default explains.
func dropped(given, kept any, path string) (names []string) {
	switch given := given.(type) {
	case map[string]any:
		kept, same := kept.(map[string]any)
		if !same {
			return []string{path}
		}
		for key, value := range given {
			if value == nil {
				continue
			}
			under, there := kept[key]
			if !there && !empty(value) {
				names = append(names, path+"."+key)
			} else if there {
				names = append(names, dropped(value, under, path+"."+key)...)
			}
		}
	case []any:
		kept, same := kept.([]any)
		if !same || len(kept) != len(given) {
			return []string{path}
		}
		for nth, value := range given {
			names = append(names, dropped(value, kept[nth], fmt.Sprintf("%s[%d]", path, nth))...)
		}
	}
	sort.Strings(names)
	return names
}

func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// templateOf is the pod that an object makes, if it makes any.
func templateOf(object runtime.Object) *v1.PodTemplateSpec {
	switch object := object.(type) {
	case *appsv1.Deployment:
		return &object.Spec.Template
	case *appsv1.StatefulSet:
		return &object.Spec.Template
	case *appsv1.DaemonSet:
		return &object.Spec.Template
	}
	return nil
}

// secured says what Pod Security admission has against a pod at the level `restricted`, as of today.
func secured(template *v1.PodTemplateSpec) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := psapi.LevelVersion{Level: psapi.LevelRestricted, Version: psapi.LatestVersion()}
	verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
	if !verdict.Allowed {
		return fmt.Errorf("Pod Security: %s", verdict.ForbiddenDetail())
	}
	return nil
}

// claimed are the volumes that a StatefulSet's controller gives to its pods.
func claimed(object runtime.Object) (volumes []v1.Volume) {
	if set, is := object.(*appsv1.StatefulSet); is {
		for _, claim := range set.Spec.VolumeClaimTemplates {
			source := v1.VolumeSource{PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" + set.Name + "-0"}}
			volumes = append(volumes, v1.Volume{Name: claim.Name, VolumeSource: source})
		}
	}
	return volumes
}

// podOf is the pod itself, created as the controller of `object` creates it.
func podOf(object runtime.Object) (*v1.Pod, error) {
	template := templateOf(object)
	made := &v1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	made.Spec.Volumes = append(made.Spec.Volumes, claimed(object)...)
	made.Name, made.Namespace = "pod", namespace
	made.Spec.ServiceAccountName = "default"
	legacyscheme.Scheme.Default(made)
	pod, warnings, err := created(made, v1.SchemeGroupVersion.WithKind("Pod"))
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, errors.New(strings.Join(warnings, "; "))
	}
	return pod.(*v1.Pod), nil
}

// judged is all of that for one document; its error names the object.
func judged(document []byte) (kind string, template *v1.PodTemplateSpec, err error) {
	object, given, warnings, err := stored(document)
	if err != nil {
		return "", nil, err
	}
	kept, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", nil, err
	}
	kind = given["kind"].(string)
	delete(given, "kind")
	delete(given, "apiVersion")
	if names := dropped(given, kept, ""); len(names) > 0 {
		return kind, nil, fmt.Errorf("%s: dropped in silence: %s", kind, strings.Join(names, ", "))
	}
	if len(warnings) > 0 {
		return kind, nil, fmt.Errorf("%s: warnings: %s", kind, strings.Join(warnings, "; "))
	}
	if template = templateOf(object); template == nil {
		return kind, nil, nil
	}
	if err = secured(template); err != nil {
		return kind, nil, fmt.Errorf("%s: %w", kind, err)
	}
	if _, err = podOf(object); err != nil {
		return kind, nil, fmt.Errorf("%s: its pod: %w", kind, err)
	}
	return kind, template, nil
}
