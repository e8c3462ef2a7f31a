// Drawing: stacked columns, lines and sparklines in SVG, sized in pixels so that their words stay words.
"use strict";

(() => {
  const { svg } = Page;
  const MARGIN = { top: 10, right: 12, bottom: 24, left: 40 };

  // Round steps for an axis that begins at nothing: 1, 2 or 5 times a power of ten.
  function ticks(highest, wanted = 4) {
    const rough = Math.max(highest, 1) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough));
    const out = [];
    for (let value = 0; value < highest + step; value += step) out.push(value);
    return out;
  }

  function canvas(width, height, label, ...children) {
    return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "chart" }, ...children);
  }

  function axis(values, y, width) {
    return values.map((value) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, Page.number(value)),
    ]);
  }

  function scale(highest, height) {
    const values = ticks(highest);
    const top = values[values.length - 1];
    const y = (value) => height - MARGIN.bottom - (value / top) * (height - MARGIN.top - MARGIN.bottom);
    return { values, y };
  }

  // columns: [{label, title, parts: [{kind, value}]}], oldest first.
  function columns(items, { width, height = 200, label }) {
    const total = (item) => item.parts.reduce((sum, part) => sum + part.value, 0);
    const { values, y } = scale(Math.max(...items.map(total)), height);
    const step = (width - MARGIN.left - MARGIN.right) / items.length;
    const wide = Math.min(44, step * 0.66);
    const every = Math.ceil(items.length / Math.max(1, (width - MARGIN.left) / 58));
    const bars = items.map((item, index) => {
      const x = MARGIN.left + step * index + (step - wide) / 2;
      let base = 0;
      const pieces = item.parts.filter((part) => part.value).map((part) => {
        const top = y(base + part.value);
        const piece = svg("rect", { class: `fill ${part.kind}`, x, width: wide, y: top, height: Math.max(1, y(base) - top) });
        base += part.value;
        return piece;
      });
      return svg("g", {}, svg("title", {}, item.title), ...pieces,
        (items.length - 1 - index) % every === 0 && svg("text", { class: "tick", x: x + wide / 2, y: height - 6, "text-anchor": "middle" }, item.label));
    });
    return canvas(width, height, label, ...axis(values, y, width), ...bars);
  }

  // series: [{kind, name, points: [{at, value}]}], each in the order of time.
  function lines(series, { width, height = 200, label }) {
    const points = series.flatMap((one) => one.points);
    const times = points.map((point) => point.at.getTime());
    const [first, last] = [Math.min(...times), Math.max(...times)];
    const { values, y } = scale(Math.max(...points.map((point) => point.value)), height);
    const span = width - MARGIN.left - MARGIN.right - 12;
    const x = (at) => MARGIN.left + 6 + (last === first ? span / 2 : ((at - first) / (last - first)) * span);
    const drawn = series.map((one) => {
      const path = one.points.map((point, index) => `${index ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
      const ends = `L${x(one.points[one.points.length - 1].at).toFixed(1)} ${y(0)}L${x(one.points[0].at).toFixed(1)} ${y(0)}Z`;
      return svg("g", { class: `series ${one.kind}` },
        series.length === 1 && svg("path", { class: "area", d: path + ends }),
        svg("path", { class: "line", d: path }),
        ...one.points.map((point) => svg("circle", { cx: x(point.at), cy: y(point.value), r: 3 },
          svg("title", {}, `${one.name}, ${Page.day(point.at)}: ${Page.number(point.value)}`))));
    });
    const marks = last === first ? [first] : [first, (first + last) / 2, last].slice(0, width < 260 ? 1 : 3);
    const anchors = ["start", "middle", "end"];
    return canvas(width, height, label, ...axis(values, y, width), ...drawn,
      ...marks.map((at, index) => svg("text", { class: "tick", x: x(at), y: height - 6, "text-anchor": marks.length === 1 ? "middle" : anchors[index] }, Page.day(at))));
  }

  // A bar a day; a day without entries keeps a stub, so that one sees it was a day.
  function spark(days, { width = 150, height = 28, label }) {
    const highest = Math.max(1, ...days.map((day) => day.entries));
    const step = width / Math.max(1, days.length);
    return canvas(width, height, label, ...days.map((day, index) => {
      const tall = day.entries ? Math.max(3, (day.entries / highest) * height) : 1;
      return svg("rect", { class: day.entries ? "fill day" : "fill none", x: index * step, width: Math.max(1, step - 1), y: height - tall, height: tall },
        svg("title", {}, `${Page.day(day.day)}: ${day.entries}`));
    }));
  }

  Page.charts = { columns, lines, spark };
})();
