// A dashboard as Grafana 12.1 knows it, by its own types: its panels with the options and fields of their kind.

import type * as raw from "./node_modules/@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen";
import type * as timeseries from "./node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as stat from "./node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as table from "./node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { TableFieldOptions } from "@grafana/schema";

// An enumeration's values as JSON has them.
type Plain<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

// Grafana fills in what options leave out.
type Loose<T> = T extends unknown[] ? T : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T;

interface Query {
  refId: string;
  datasource: { type: "prometheus"; uid: "${datasource}" };
  expr: string;
  legendFormat?: string;
  range: boolean;
  instant: boolean;
  format?: "time_series" | "table" | "heatmap";
}

type Of<Type extends string, Options, Custom> = Omit<raw.Panel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Loose<Options>;
  targets: Query[];
  fieldConfig: Omit<raw.FieldConfigSource, "defaults"> & {
    defaults: Omit<raw.FieldConfig, "custom"> & { custom?: Loose<Custom> };
  };
};

// What the annotations of the data source have besides.
type Annotation = raw.AnnotationQuery & { expr?: string; titleFormat?: string };

export type Checked = Plain<
  Omit<raw.Dashboard, "panels" | "annotations"> & {
    annotations: { list: Annotation[] };
    panels: (
      | raw.RowPanel
      | Of<"timeseries", timeseries.Options, timeseries.FieldConfig>
      | Of<"stat", stat.Options, Record<string, never>>
      | Of<"table", table.Options, TableFieldOptions>
    )[];
  }
>;
