// One dashboard as checked in, drawn with the components, units, thresholds, overrides and legends of Grafana's own
// npm packages. What the Grafana server and its panel plugins do around them is done here: laying panels out, making
// frames of rows, filling in the templates of series names.
import React from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import {
  FieldType, Registry, applyFieldOverrides, createTheme, dateTime, displayNameOverrideProcessor, getFieldDisplayName,
  identityOverrideProcessor, standardFieldConfigEditorRegistry, ThemeContext, thresholdsOverrideProcessor,
} from '@grafana/data';
import * as ui from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const CELL = 38; // Grafana's row is 30 px and 8 px of gap
const GAP = 8;
const WIDTH = 1280;
const asked = new URLSearchParams(window.location.search);
const theme = createTheme({ colors: { mode: asked.get('theme') ?? 'dark' } });
const faults = [];
window.onerror = (message) => faults.push(String(message));

const PROPERTIES = [
  'displayName', 'unit', 'decimals', 'min', 'max', 'noValue', 'color', 'thresholds', 'links',
  'custom.drawStyle', 'custom.lineWidth', 'custom.fillOpacity', 'custom.barAlignment', 'custom.barWidthFactor',
  'custom.showPoints', 'custom.spanNulls', 'custom.stacking', 'custom.axisSoftMin', 'custom.lineStyle', 'custom.align',
  'custom.filterable', 'custom.minWidth', 'custom.width', 'custom.cellOptions', 'custom.footer',
];
const PROCESSORS = { displayName: displayNameOverrideProcessor, thresholds: thresholdsOverrideProcessor };
const registry = new Registry(() => PROPERTIES.map((id) => ({
  id, path: id.replace(/^custom\./, ''), isCustom: id.startsWith('custom.'), name: id,
  process: PROCESSORS[id] ?? identityOverrideProcessor, shouldApply: () => true, settings: { expandTemplateVars: true },
})));
standardFieldConfigEditorRegistry.setInit(() => registry.list());

const typeOf = (name) => (/^(Nullable\()?Date/.test(name) ? FieldType.time
  : /Int|Float|Decimal/.test(name) ? FieldType.number : FieldType.string);

function template(text, scope) {
  const field = scope?.__dataContext?.value?.field;
  return text.replace(/\$\{__field\.labels\.(\w+)[^}]*\}/g, (_, label) => field?.labels?.[label] ?? '');
}

function plainFields(answer) {
  return answer.columns.map((column, place) => {
    const type = typeOf(column.type);
    const values = answer.rows.map((row) => (row[place] === null ? null : type === FieldType.number ? Number(row[place])
      : type === FieldType.time ? Date.parse(row[place]) : row[place]));
    return { name: column.name, type, config: {}, values };
  });
}

// The plugin's long form: a column of times, texts that become labels, numbers that become series.
function longToWide(fields) {
  const [time] = fields.filter((field) => field.type === FieldType.time);
  const labels = fields.filter((field) => field.type === FieldType.string);
  const times = [...new Set(time.values)];
  const at = new Map(times.map((value, place) => [value, place]));
  const series = new Map();
  time.values.forEach((value, row) => {
    const named = Object.fromEntries(labels.map((label) => [label.name, label.values[row]]));
    for (const number of fields.filter((field) => field.type === FieldType.number)) {
      const key = number.name + JSON.stringify(named);
      if (!series.has(key)) {
        const values = new Array(times.length).fill(null);
        series.set(key, { name: number.name, type: FieldType.number, labels: named, config: {}, values });
      }
      series.get(key).values[at.get(value)] = number.values[row];
    }
  });
  return [{ name: 'time', type: FieldType.time, config: {}, values: times }, ...series.values()];
}

// Several queries on one graph share its time axis.
function joined(frames) {
  const times = [...new Set(frames.flatMap((frame) => frame[0].values))].sort((a, b) => a - b);
  const fields = frames.flatMap((frame) => frame.slice(1).map((field) => {
    const at = new Map(frame[0].values.map((time, row) => [time, field.values[row]]));
    return { ...field, values: times.map((time) => at.get(time) ?? null) };
  }));
  return [{ name: 'time', type: FieldType.time, config: {}, values: times }, ...fields];
}

function frameOf(panel, answers) {
  const frames = answers.map((answer, place) => {
    const fields = plainFields(answer);
    return panel.targets[place].format === 0 && fields.length ? longToWide(fields) : fields;
  });
  const fields = panel.type === 'timeseries' ? joined(frames.filter((frame) => frame.length)) : frames[0] ?? [];
  const frame = { fields, length: fields[0]?.values.length ?? 0, refId: 'A' };
  const [dressed] = applyFieldOverrides({
    data: [frame], fieldConfig: panel.fieldConfig, fieldConfigRegistry: registry, replaceVariables: template, theme,
    timeZone: 'utc',
  });
  for (const field of dressed.fields) {
    field.state.displayName = getFieldDisplayName(field, dressed, [dressed]).trim();
  }
  return dressed;
}

function Nothing({ panel }) {
  const text = panel.fieldConfig.defaults.noValue ?? panel.description;
  const style = { color: theme.colors.text.secondary, display: 'grid', placeItems: 'center', height: '100%', textAlign: 'center', padding: 8 };
  return <div style={style}>{text}</div>;
}

function Stat({ panel, frame, width, height }) {
  const field = frame.fields.find((each) => each.type === FieldType.number);
  const last = field?.values.filter((value) => value !== null).pop();
  const value = last === undefined ? { text: panel.fieldConfig.defaults.noValue, numeric: NaN, color: theme.colors.text.primary }
    : field.display(last);
  return <ui.BigValue theme={theme} width={width} height={height} value={value} colorMode="value" graphMode="none" justifyMode="auto" textMode="value" />;
}

function Bars({ frame, width, height }) {
  const names = frame.fields.find((field) => field.type === FieldType.string);
  const field = frame.fields.find((each) => each.type === FieldType.number);
  const count = Math.max(1, field.values.length);
  const tall = Math.min(40, Math.max(16, Math.floor((height - count * 6) / count)));
  const longest = (texts) => texts.reduce((a, b) => (b.length > a.length ? b : a), '');
  const alignment = {
    title: longest(names.values), text: longest(field.values.map((value) => field.display(value).text)),
    prefix: field.display(0).prefix ?? '', suffix: '',
  };
  const config = { ...field.config, min: 0, max: field.config.max ?? Math.max(...field.values) };
  return field.values.map((value, row) => (
    <div key={row} style={{ marginBottom: 6 }}>
      <ui.BarGauge theme={theme} width={width} height={tall} orientation="horizontal" displayMode="basic" showUnfilled
        value={{ ...field.display(value), title: names.values[row] }} field={config} display={field.display}
        alignmentFactors={alignment} namePlacement="auto" valueDisplayMode="text" />
    </div>
  ));
}

function Graph({ panel, frame, width, height, range }) {
  if (!frame.fields.some((field) => field.type === FieldType.number)) {
    return <Nothing panel={panel} />;
  }
  const legend = panel.options.legend;
  const [from, to] = range.map((time) => dateTime(time));
  // Bars need room at both ends: Grafana's panel does the same.
  return (
    <ui.TimeSeries width={width} height={height} frames={[frame]} timeRange={{ from, to, raw: { from, to } }} timeZone="utc"
      legend={legend} options={{ ...panel.options }} structureRev={1} />
  );
}

function Table({ panel, frame, width, height }) {
  if (!frame.length) {
    return <Nothing panel={panel} />;
  }
  return <TableNG data={frame} width={width} height={height} cellHeight="sm" structureRev={1} fieldConfig={panel.fieldConfig}
    showTypeIcons={false} enablePagination={false} transparent={false} />;
}

const KINDS = { stat: Stat, bargauge: Bars, timeseries: Graph, table: Table };

class Guard extends React.Component {
  constructor(properties) {
    super(properties);
    this.state = {};
  }
  static getDerivedStateFromError(error) {
    faults.push(String(error.stack ?? error));
    return { error };
  }
  render() {
    return this.state.error ? <pre>{String(this.state.error)}</pre> : this.props.children;
  }
}

function Panel({ panel, payload }) {
  const place = panel.gridPos;
  const unit = (WIDTH - GAP) / 24;
  const box = {
    position: 'absolute', left: GAP + unit * place.x, top: CELL * place.y, width: unit * place.w - GAP,
    height: CELL * place.h - GAP, overflow: 'hidden', boxSizing: 'border-box',
  };
  if (panel.type === 'row') {
    return <div style={{ ...box, ...theme.typography.h5, color: theme.colors.text.primary, paddingTop: 4 }}>{panel.title}</div>;
  }
  const Kind = KINDS[panel.type] ?? Nothing;
  const answers = payload.answers[panel.id] ?? [];
  const frame = React.useMemo(() => frameOf(panel, answers), []);
  const look = { background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`, borderRadius: 2 };
  const inner = { width: box.width - 2 - 16, height: box.height - 2 - 32 - 8 };
  return (
    <div style={{ ...box, ...look }}>
      <div style={{ ...theme.typography.h6, color: theme.colors.text.primary, padding: '6px 8px 0', height: 32, whiteSpace: 'nowrap', overflow: 'hidden', textOverflow: 'ellipsis', boxSizing: 'border-box' }}>
        {panel.title}
      </div>
      <div style={{ padding: '0 8px', height: inner.height, position: 'relative' }}>
        <Guard>{answers.some((answer) => answer.columns.length) || Kind === Nothing
          ? <Kind panel={panel} frame={frame} {...inner} range={panel.timeFrom ? [payload.range[1] - parseInt(panel.timeFrom, 10) * 3.6e6, payload.range[1]] : payload.range} /> : <Nothing panel={panel} />}</Guard>
      </div>
    </div>
  );
}

function Variables({ board, picks }) {
  const shown = board.templating.list.filter((each) => each.hide === 0);
  const style = { display: 'inline-flex', marginRight: 10, border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, lineHeight: '30px' };
  return shown.map((each) => (
    <span key={each.name} style={style}>
      <span style={{ padding: '0 8px', background: theme.colors.background.secondary, color: theme.colors.text.primary }}>{each.label}</span>
      <span style={{ padding: '0 8px', color: theme.colors.text.secondary, minWidth: 40 }}>{picks[each.name] ?? 'All'}</span>
    </span>
  ));
}

function Board({ payload }) {
  const { board } = payload;
  const below = Math.max(...board.panels.map((panel) => panel.gridPos.y + panel.gridPos.h));
  return (
    <div style={{ width: WIDTH, background: theme.colors.background.canvas, fontFamily: theme.typography.fontFamily, fontSize: 14 }}>
      <div style={{ padding: '10px 8px 0', ...theme.typography.h4, color: theme.colors.text.primary }}>
        {board.title} <span style={{ ...theme.typography.bodySmall, color: theme.colors.text.secondary, float: 'right' }}>{payload.shown}</span>
      </div>
      <div style={{ padding: '10px 8px' }}><Variables board={board} picks={payload.picks} /></div>
      <div style={{ position: 'relative', height: CELL * below + GAP }}>
        {board.panels.map((panel) => <Panel key={panel.id} panel={panel} payload={payload} />)}
      </div>
    </div>
  );
}

fetch(`${asked.get('board')}.json`).then((answer) => answer.json()).then((payload) => {
  document.body.style.background = theme.colors.background.canvas;
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}><ui.GlobalStyles /><Board payload={payload} /></ThemeContext.Provider>,
  );
  setTimeout(() => {
    for (const fault of faults) {
      console.error(`drawing failed: ${fault}`);
    }
    document.title = `drawn ${document.body.scrollHeight}`;
  }, 3000);
});
