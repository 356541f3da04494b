// Runs in the page /probe.html of tests/browser.rs: visits each page of the book
// in a frame, in each theme and width, and reports what is wrong with it.
const THEMES = ['light', 'navy'];
const WIDTHS = [360, 768, 1600];
const SMALLEST_TEXT = 9; // CSS pixels, in a figure at the narrowest width
const CONTRAST = 4.5; // WCAG 2.2, 1.4.3

const problems = [];
let looks = 0;

/** [r, g, b, alpha] of a computed colour. */
function rgba(colour) {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    return numbers.length === 3 ? [...numbers, 1] : numbers;
}

/** The colour that is seen behind an element. */
function background(element) {
    let over = [];
    for (let e = element; e; e = e.parentElement) {
        const colour = rgba(getComputedStyle(e).backgroundColor);
        over.push(colour);
        if (colour[3] === 1) {
            break;
        }
    }
    return over.reduceRight((below, [r, g, b, alpha]) => (
        [r, g, b].map((part, i) => part * alpha + (below[i] ?? 255) * (1 - alpha))
    ), [255, 255, 255]);
}

function luminance(colour) {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
        const c = part / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
    const [dark, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
}

/** What is wrong with a page whatever its width is. */
function* wrong(window, document) {
    for (const message of window.probeErrors) {
        yield `a script fails: ${message}`;
    }
    for (const { name } of window.performance.getEntriesByType('resource')) {
        if (!name.startsWith(location.origin) && !name.startsWith('data:')) {
            yield `it asks another host: ${name}`;
        }
    }
    let level = 0;
    for (const heading of document.querySelectorAll('main :is(h1, h2, h3, h4)')) {
        const next = Number(heading.tagName[1]);
        if (next > level + 1) {
            yield `the heading "${heading.textContent}" skips a level`;
        }
        level = next;
    }
    for (const element of document.querySelectorAll('main :is(a[href], button, summary)')) {
        if (element.tabIndex < 0) {
            yield `the keyboard does not reach "${element.textContent.trim()}"`;
        }
    }
    for (const code of document.querySelectorAll('.transcript code')) {
        window.getSelection().selectAllChildren(code);
        const copied = window.getSelection().toString() + '\n' + code.innerText;
        if (/^\$ /m.test(copied)) {
            yield `copying takes the prompt along: ${copied.slice(0, 40)}`;
        }
    }
    window.getSelection().removeAllRanges();
    const ours = '.caption, figcaption, .program dd, .program dt, .debts li, .transcript code, .transcript kbd, '
        + '.language-diff .hljs-addition, .language-diff .hljs-deletion';
    for (const element of document.querySelectorAll(ours)) {
        const ratio = contrast(rgba(window.getComputedStyle(element).color), background(element));
        if (ratio < CONTRAST) {
            yield `"${element.textContent.trim().slice(0, 40)}" has a contrast of ${ratio.toFixed(1)}`;
        }
    }
    const colours = ['.hljs-addition', '.hljs-deletion', ''].map((part) => {
        const element = document.querySelector(`.language-diff ${part}`.trim());
        return element && window.getComputedStyle(element).color;
    });
    if (colours[0] && new Set(colours).size < 3) {
        yield 'added, removed and unchanged lines of a diff have the same colour';
    }
    for (const text of document.querySelectorAll('main svg text')) {
        const ratio = contrast(rgba(window.getComputedStyle(text).fill), background(text.closest('figure')));
        if (ratio < CONTRAST) {
            yield `in a figure, "${text.textContent}" has a contrast of ${ratio.toFixed(1)}`;
        }
    }
}

/** What is wrong with a page at the width that it has. */
function* wrongHere(window, document) {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) {
        yield `it is ${scrollWidth - clientWidth} pixels too wide`;
    }
    for (const text of document.querySelectorAll('main svg text')) {
        const svg = text.ownerSVGElement;
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        const size = parseFloat(window.getComputedStyle(text).fontSize) * scale;
        const { x, width } = text.getBBox();
        if (size < SMALLEST_TEXT) {
            yield `in a figure, "${text.textContent}" is ${size.toFixed(1)} pixels tall`;
        }
        if (x < 0 || x + width > svg.viewBox.baseVal.width) {
            yield `in a figure, "${text.textContent}" is cut off`;
        }
    }
}

async function look(page, theme) {
    const frame = document.createElement('iframe');
    frame.style.cssText = `width: ${WIDTHS[0]}px; height: 800px; border: 0`;
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    frame.src = `/${theme}/${page}`;
    document.body.append(frame);
    await loaded;
    await frame.contentDocument.fonts.ready;
    const parts = [frame.contentWindow, frame.contentDocument];
    const note = (what, width = '') => problems.push(`${page} (${theme}${width}): ${what}`);
    for (const what of wrong(...parts)) {
        note(what);
    }
    for (const width of WIDTHS) {
        frame.style.width = `${width}px`;
        // The layout is made anew when it is asked for.
        for (const what of wrongHere(...parts)) {
            note(what, `, ${width} px`);
        }
        looks += 1;
    }
    frame.remove();
}

(async () => {
    try {
        for (const theme of THEMES) {
            for (const page of PAGES) {
                await look(page, theme);
            }
        }
    } catch (error) {
        problems.push(`the probe itself fails: ${error.stack}`);
    }
    await fetch('/report', { method: 'POST', body: JSON.stringify({ looks, problems }) });
})();
